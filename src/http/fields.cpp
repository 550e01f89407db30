// The header fields that dispatching reads: what is accepted of what a client says.
#include "http/chars.hpp"
#include "http/dispatch.hpp"
#include "souk/id.hpp"

#include <cstdint>
#include <random>

namespace souk::http {
namespace {

bool is_lower_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'f');
    });
}

/// Trace ids must be unlikely to meet, not hard to guess: no system call a request.
std::mt19937_64& generator() {
    thread_local std::mt19937_64 engine = [] {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        return std::mt19937_64(seed);
    }();
    return engine;
}

/// version "-" trace-id "-" parent-id "-" flags, of version 00.
bool is_traceparent(std::string_view text) {
    if (text.size() != 55 || !text.starts_with("00-")) return false;
    if (text[35] != '-' || text[52] != '-') return false;
    const auto trace = text.substr(3, 32);
    const auto parent = text.substr(36, 16);
    if (!is_lower_hex(trace) || !is_lower_hex(parent) || !is_lower_hex(text.substr(53)))
        return false;
    return trace.find_first_not_of('0') != std::string_view::npos &&
           parent.find_first_not_of('0') != std::string_view::npos;
}

std::string_view without_weakness(std::string_view tag) {
    return tag.starts_with("W/") ? tag.substr(2) : tag;
}

}  // namespace

std::string choose_request_id(std::string_view offered, Timestamp now) {
    const bool sane = !offered.empty() && offered.size() <= 64 &&
                      std::all_of(offered.begin(), offered.end(), [](char c) {
                          return is_digit(c) || is_alpha(c) || c == '.' || c == '_' || c == '-';
                      });
    return sane ? std::string(offered) : make_id("req", now);
}

std::string choose_traceparent(std::string_view offered) {
    if (is_traceparent(offered)) return std::string(offered);
    auto& random = generator();
    std::string made("00-00000000000000000000000000000000-0000000000000000-01");
    write_hex(made.data() + 3, random() | 1);
    write_hex(made.data() + 19, random());
    write_hex(made.data() + 36, random() | 1);
    return made;
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) {
    if (trim(if_none_match) == "*") return true;
    while (!if_none_match.empty()) {
        const auto comma = if_none_match.find(',');
        const auto tag = trim(if_none_match.substr(0, comma));
        if (!tag.empty() && without_weakness(tag) == without_weakness(etag)) return true;
        if (comma == std::string_view::npos) break;
        if_none_match.remove_prefix(comma + 1);
    }
    return false;
}

bool is_json(std::string_view content_type) {
    const auto semicolon = content_type.find(';');
    if (!equals_ignoring_case(trim(content_type.substr(0, semicolon)), "application/json"))
        return false;
    if (semicolon == std::string_view::npos) return true;
    // RFC 8259 knows no other encoding, and no other parameter.
    const auto parameter = trim(content_type.substr(semicolon + 1));
    return equals_ignoring_case(parameter, "charset=utf-8") ||
           equals_ignoring_case(parameter, "charset=\"utf-8\"");
}

}  // namespace souk::http
