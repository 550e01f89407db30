// What travels with every call, local or remote: who asks, until when, and the trace it belongs to.
#pragma once

#include "souk/clock.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace souk {

/// Who calls. Empty `subject`: nobody is signed in.
struct Identity {
    Identity() = default;
    Identity(std::string subject, std::vector<std::string> roles, std::string session)
        : subject(std::move(subject)), roles(std::move(roles)), session(std::move(session)) {}
    bool signed_in() const { return !subject.empty(); }
    bool has_role(std::string_view role) const {
        return std::find(roles.begin(), roles.end(), role) != roles.end();
    }
    /// True when one of the roles carries `permission` ("products:write"); `admin` carries all.
    bool may(std::string_view permission) const;

    std::string subject;  // "usr_..." or "system"
    std::vector<std::string> roles;
    std::string session;
};

struct CallContext {
    explicit CallContext(Deadline deadline) : deadline(deadline) {}
    CallContext(
        Identity identity, Deadline deadline, std::string request_id, std::string traceparent
    )
        : identity(std::move(identity))
        , deadline(deadline)
        , request_id(std::move(request_id))
        , traceparent(std::move(traceparent)) {}
    Identity identity;
    Deadline deadline;
    std::string request_id;
    std::string traceparent;  // W3C Trace Context, may be empty
    // The signed form of `identity` as the gateway made it, for the next hop; empty when the call
    // came without one. A secret: never logged.
    std::string identity_token;
};

}  // namespace souk
