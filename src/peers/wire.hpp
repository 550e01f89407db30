// A call as a request and an answer as a result: what travels between two processes, in one place.
#pragma once

#include "souk/context.hpp"
#include "souk/error.hpp"
#include "souk/http.hpp"
#include "souk/json.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace souk::peers {

namespace field {
inline constexpr std::string_view deadline = "Souk-Deadline-Ms";  // what is left, in ms
inline constexpr std::string_view identity = "Souk-Identity";     // an internal token
inline constexpr std::string_view peer_key = "Souk-Peer-Key";     // development only
inline constexpr std::string_view as_operator = "Souk-Operator";  // "1"; with the shared key only
inline constexpr std::string_view admitted = "Souk-Admitted";     // in answers: PeerEdge let it in
// The value of it: requests may share a connection (http/exchanges.hpp). Older ones say "1".
inline constexpr std::string_view admitted_shares = "2";
}  // namespace field

/// Adds what says who asks, and for what, but for the deadline: identity, key, request id, trace.
void add_call_fields(http::Headers& headers, const CallContext& context, std::string_view peer_key);

/// The same trace with a new parent, for the callee; empty when `traceparent` is malformed.
std::string child_traceparent(std::string_view traceparent);

/// What the Api answered: its value, or its own error. Nothing when the answer is not the Api's
/// (a proxy's, another program's, a listener's that did not let us in); `why` then says what it is.
std::optional<Result<json::value>> read_answer(const http::Response& response, std::string& why);

}  // namespace souk::peers
