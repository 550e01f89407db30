// The rules of accounts and sessions that need no database: which e-mails are the same, how long
// things live.
#pragma once

#include "souk/clock.hpp"

#include <string>
#include <string_view>

namespace souk::user::domain {

inline constexpr std::size_t min_password_bytes = 8;

/// Who registers without being asked to become more.
inline constexpr std::string_view default_role = "customer";

/// How long the log remembers a revocation: far longer than any access token lives, so that a clock
/// that steps within a day does not bring one back to life.
inline constexpr std::chrono::hours revocation_retention{24};

/// The form in which e-mails are compared and kept: lower case. (By the letter of RFC 5321 the part
/// before the @ is case-sensitive; nobody's mailbox is, and people type both.)
std::string normalized_email(std::string_view email);

/// How long the tokens of a sign-in live.
struct TokenLifetimes {
    TokenLifetimes(milliseconds access, milliseconds refresh) : access(access), refresh(refresh) {}
    milliseconds access;
    milliseconds refresh;
};

}  // namespace souk::user::domain
