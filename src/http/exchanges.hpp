// How souk's own processes let several requests be under way on one connection. A GET on an
// internal listener may carry a number; its answer carries the same number and comes when it is
// there, ahead of answers to earlier requests that are slower. Who does not know the field answers
// in order, as HTTP/1.1 says, and without the number.
#pragma once

#include <cstddef>
#include <string_view>

namespace souk::http {

inline constexpr std::string_view exchange_field = "Souk-Exchange";
/// In an answer: too long for a connection with others on it. Ask again on one of your own.
inline constexpr std::string_view alone_field = "Souk-Alone";
/// Bodies up to this share a connection.
inline constexpr std::size_t shared_body_bytes = 64 * 1024;
/// As many a connection takes; then it reads no further until one is answered.
inline constexpr std::size_t most_exchanges = 64;

}  // namespace souk::http
