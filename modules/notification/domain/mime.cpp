#include "domain/mime.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace souk::notification::domain {

namespace {

constexpr std::string_view hex = "0123456789ABCDEF";
constexpr std::size_t max_qp_line = 76;
/// So that "=?UTF-8?B?" + base64 + "?=" stays within 75 characters.
constexpr std::size_t max_word_bytes = 45;

bool is_control(char c) {
    auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x80;
    });
}

bool continues_sequence(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        auto have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            out += k <= have ? alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

/// Domain of the sender, which makes Message-IDs ours.
std::string_view domain_of(std::string_view address) {
    return address.substr(address.find('@') + 1);
}

}  // namespace

bool is_plain_address(std::string_view address) {
    constexpr std::string_view special = "()<>[]:;\\,\"";
    auto plain = std::all_of(address.begin(), address.end(), [&](char c) {
        return c > 0x20 && c < 0x7f && special.find(c) == std::string_view::npos;
    });
    auto at = address.find('@');
    return plain && address.size() <= 254 && at != std::string_view::npos && at > 0 &&
           at + 1 < address.size() && address.rfind('@') == at;
}

std::string single_line(std::string_view text) {
    std::string out(text);
    std::replace_if(out.begin(), out.end(), is_control, ' ');
    return out;
}

std::string encode_header_text(std::string_view text) {
    constexpr std::size_t max_plain = 60;  // no folding of plain text needed
    auto line = single_line(text);
    auto looks_encoded = line.find("=?") != std::string::npos;
    if (is_ascii(line) && line.size() <= max_plain && !looks_encoded) return line;
    std::string out;
    for (std::size_t at = 0; at < line.size();) {
        auto end = std::min(line.size(), at + max_word_bytes);
        // Steps back out of a sequence, unless the text is no UTF-8 at all.
        auto cut = end;
        while (cut < line.size() && cut > at && continues_sequence(line[cut]))
            --cut;
        if (cut > at) end = cut;
        if (!out.empty()) out += "\r\n ";
        out += "=?UTF-8?B?" + base64(std::string_view(line).substr(at, end - at)) + "?=";
        at = end;
    }
    return out;
}

std::string encode_quoted_printable(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    std::size_t column = 0;
    auto put = [&](std::string_view piece) {
        if (column + piece.size() > max_qp_line - 1) {
            out += "=\r\n";
            column = 0;
        }
        out += piece;
        column += piece.size();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto u = static_cast<unsigned char>(text[i]);
        auto ends_line = i + 1 == text.size() || text[i + 1] == '\n';
        if (text[i] == '\n') {
            out += "\r\n";
            column = 0;
        } else if ((u > 0x20 && u < 0x7f && u != '=') || (u == ' ' && !ends_line)) {
            put(text.substr(i, 1));
        } else {
            const char piece[] = {'=', hex[u >> 4], hex[u & 15]};
            put(std::string_view(piece, 3));
        }
    }
    return out;
}

std::string format_date(Timestamp time) {
    auto whole = std::chrono::floor<seconds>(time);
    auto parts = fmt::gmtime(std::chrono::system_clock::to_time_t(whole));
    return fmt::format("{:%a, %d %b %Y %H:%M:%S} +0000", parts);
}

std::string to_rfc5322(const Message& message) {
    std::string to = message.to;
    if (!message.to_name.empty()) {
        // An encoded word, whatever the name: nothing in it can then be taken for an address.
        auto words = encode_header_text(message.to_name);
        if (!words.starts_with("=?")) words = "=?UTF-8?B?" + base64(words) + "?=";
        to = words + "\r\n <" + message.to + ">";
    }
    return fmt::format(
        "From: {}\r\n"
        "To: {}\r\n"
        "Subject: {}\r\n"
        "Date: {}\r\n"
        "Message-ID: <{}@{}>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "{}",
        message.from,
        to,
        encode_header_text(message.subject),
        format_date(message.date),
        message.id,
        domain_of(message.from),
        encode_quoted_printable(message.body)
    );
}

}  // namespace souk::notification::domain
