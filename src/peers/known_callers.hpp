// Internal tokens that were verified a moment ago. A signature costs more to check than all the
// rest of a call between processes, and one token comes with every call that a request makes. One
// cache a thread, so nothing is shared; bounded; a token leaves it with its expiry at the latest.
#pragma once

#include "security/tokens.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souk::peers {

class KnownCallers {
public:
    explicit KnownCallers(security::InternalVerifier verifier);

    /// As InternalVerifier::verify(). From any thread.
    Result<Identity> identify(std::string_view token, Timestamp now) const;

private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    using Callers = std::unordered_map<std::string, security::AccessClaims, Hash, std::equal_to<>>;
    /// Two generations: when the younger is full, the older is forgotten as a whole.
    struct Cache {
        std::uint64_t owner = 0;
        Callers young;
        Callers old;
    };
    Cache& cache() const;

    const security::InternalVerifier verifier_;
    const std::uint64_t id_;  // no other object of this process ever has it
};

}  // namespace souk::peers
