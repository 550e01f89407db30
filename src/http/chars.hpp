// Classes of bytes that HTTP's grammar names (RFC 9110, RFC 3986). Not std::isalpha and friends:
// those depend on the locale and are undefined for negative chars.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace souk::http {

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Whether a byte of `text` is a control: eight at a time.
inline bool has_control(std::string_view text) {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t tops = 0x8080808080808080U;
    while (text.size() >= sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), sizeof word);
        const std::uint64_t deleted = word ^ (0x7f * ones);  // a zero byte for each DEL
        if ((((word - 0x20 * ones) & ~word) | ((deleted - ones) & ~deleted)) & tops) return true;
        text.remove_prefix(sizeof word);
    }
    return std::any_of(text.begin(), text.end(), is_control);
}

/// All sixteen digits; eight at a time, a digit a byte.
inline void write_hex(char* to, std::uint64_t bits) {
    static_assert(std::endian::native == std::endian::little);
    for (const std::uint64_t half : {bits >> 32, bits & 0xffffffff}) {
        std::uint64_t digits = (half | half << 16) & 0x0000ffff0000ffff;
        digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
        digits = (digits | digits << 4) & 0x0f0f0f0f0f0f0f0f;
        const std::uint64_t letters = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
        const std::uint64_t text = digits + 0x3030303030303030 + letters * ('a' - '0' - 10);
        const std::uint64_t first_digit_first = __builtin_bswap64(text);
        std::memcpy(to, &first_digit_first, sizeof first_digit_first);
        to += sizeof first_digit_first;
    }
}

constexpr int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// A class of bytes as a table: one look a byte.
class CharSet {
public:
    constexpr explicit CharSet(std::string_view others) {
        for (int c = 0; c < 256; ++c)
            has_[c] = is_digit(static_cast<char>(c)) || is_alpha(static_cast<char>(c)) ||
                      others.find(static_cast<char>(c)) != std::string_view::npos;
    }
    constexpr bool has(char c) const { return has_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> has_{};
};

/// RFC 9110 "tchar".
inline constexpr CharSet token_chars("!#$%&'*+-.^_`|~");
constexpr bool is_token_char(char c) {
    return token_chars.has(c);
}
constexpr bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return x == y || to_lower(x) == to_lower(y);
    });
}

/// Without the spaces and tabs around it.
constexpr std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace souk::http
