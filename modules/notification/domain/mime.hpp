// RFC 5322 messages from values that nobody may trust: names, subjects and bodies with line breaks,
// control characters or any Unicode never become a header of their own. Pure.
#pragma once

#include "souk/clock.hpp"

#include <string>
#include <string_view>

namespace souk::notification::domain {

/// True for an address that may stand in a header as it is: printable ASCII, one '@', none of the
/// characters that RFC 5322 gives a meaning.
bool is_plain_address(std::string_view address);

/// Control characters (line breaks among them) become spaces.
std::string single_line(std::string_view text);

/// Unstructured header text: as it is when plain ASCII, else RFC 2047 encoded words of at most 75
/// characters, folded, never cutting a UTF-8 sequence.
std::string encode_header_text(std::string_view text);

/// RFC 2045 quoted-printable: lines of at most 76 characters, CRLF line ends.
std::string encode_quoted_printable(std::string_view text);

/// "Mon, 23 Nov 2026 12:00:00 +0000"
std::string format_date(Timestamp time);

struct Message {
    std::string id;  // of the mail; the same mail always carries the same Message-ID
    std::string from;
    std::string to;  // a plain address
    std::string to_name;
    std::string subject;
    std::string body;  // UTF-8 text with \n
    Timestamp date{};
};

/// The whole message with CRLF line ends. `message.to` and `message.from` must be plain addresses.
std::string to_rfc5322(const Message& message);

}  // namespace souk::notification::domain
