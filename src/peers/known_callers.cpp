#include "peers/known_callers.hpp"

#include <atomic>

namespace souk::peers {
namespace {

constexpr std::size_t generation = 1'024;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

}  // namespace

KnownCallers::KnownCallers(security::InternalVerifier verifier)
    : verifier_(std::move(verifier)), id_(next_id()) {}

Result<Identity> KnownCallers::identify(std::string_view token, Timestamp now) const {
    Callers& known = callers();
    const auto* verified = known.find(token);
    if (verified != nullptr && now < verified->expires_at) return verified->identity;
    auto claims = verifier_.verify(token, now);
    if (!claims) return claims.error();
    return known.put(token, std::move(*claims)).identity;
}

KnownCallers::Callers& KnownCallers::callers() const {
    thread_local Callers mine(generation);
    thread_local std::uint64_t owner = 0;
    if (owner != id_) {
        mine.clear();
        owner = id_;
    }
    return mine;
}

}  // namespace souk::peers
