// The gateway's signed word on who asks, for the processes behind it. A signature costs more than
// the rest of a proxied request, so that one is used again for the same session for some seconds.
// One memory a thread, bounded; nothing is shared.
#pragma once

#include "security/tokens.hpp"
#include "souk/clock.hpp"
#include "souk/context.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace souk::gateway {

class IdentityTokens {
public:
    IdentityTokens(security::SigningKeyPair key, Clock& clock);
    /// For a signed-in `identity`: a token that holds for 20 s at least. From any thread.
    std::string token_of(const Identity& identity) const;

private:
    struct Issued {
        Identity identity;
        Timestamp at{};
        std::string token;
    };
    /// Two generations by session: when the younger is full, the older is forgotten as a whole.
    struct Memory {
        std::uint64_t owner = 0;
        std::unordered_map<std::string, Issued> young;
        std::unordered_map<std::string, Issued> old;
    };
    Memory& memory() const;
    bool still_serves(const Issued& issued, const Identity& identity, Timestamp now) const;

    const security::SigningKeyPair key_;
    Clock& clock_;
    const std::uint64_t id_;  // no other object of this process ever has it
};

}  // namespace souk::gateway
