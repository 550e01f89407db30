// Internal tokens that were verified a moment ago. A signature costs more to check than all the
// rest of a call between processes, and one token comes with every call that a request makes. One
// cache a thread, so nothing is shared; bounded; a token leaves it with its expiry at the latest.
#pragma once

#include "base/generations.hpp"
#include "security/tokens.hpp"

#include <cstdint>
#include <string_view>

namespace souk::peers {

class KnownCallers {
public:
    explicit KnownCallers(security::InternalVerifier verifier);

    /// As InternalVerifier::verify(). From any thread.
    Result<Identity> identify(std::string_view token, Timestamp now) const;

private:
    using Callers = base::Generations<security::AccessClaims>;
    Callers& callers() const;

    const security::InternalVerifier verifier_;
    const std::uint64_t id_;  // no other object of this process ever has it
};

}  // namespace souk::peers
