#include "gateway/identity_tokens.hpp"

#include <atomic>

namespace souk::gateway {
namespace {

constexpr seconds used_again_for{10};
constexpr std::size_t generation = 4096;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

}  // namespace

IdentityTokens::IdentityTokens(security::SigningKeyPair key, Clock& clock)
    : key_(std::move(key)), clock_(clock), id_(next_id()) {}

IdentityTokens::Memory& IdentityTokens::memory() const {
    thread_local Memory memory;
    if (memory.owner != id_) {
        memory = Memory();
        memory.owner = id_;
    }
    return memory;
}

bool IdentityTokens::still_serves(const Issued& issued, const Identity& identity, Timestamp now)
    const {
    // A session's roles may change with its next access token; a clock may step back.
    return issued.at <= now && now - issued.at < used_again_for &&
           issued.identity.subject == identity.subject && issued.identity.roles == identity.roles;
}

std::string IdentityTokens::token_of(const Identity& identity) const {
    Memory& known = memory();
    const Timestamp now = clock_.now();
    for (auto* issued : {&known.young, &known.old}) {
        const auto it = issued->find(identity.session);
        if (it != issued->end() && still_serves(it->second, identity, now)) return it->second.token;
    }
    if (known.young.size() >= generation) {
        known.old = std::move(known.young);
        known.young.clear();
    }
    Issued& issued = known.young[identity.session];
    issued.identity = identity;
    issued.at = now;
    issued.token = security::issue_internal_token(key_, identity, now);
    return issued.token;
}

}  // namespace souk::gateway
