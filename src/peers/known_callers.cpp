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
    Cache& known = cache();
    for (const Callers* callers : {&known.young, &known.old}) {
        const auto found = callers->find(token);
        if (found != callers->end() && now < found->second.expires_at)
            return found->second.identity;
    }
    auto claims = verifier_.verify(token, now);
    if (!claims) return claims.error();
    if (known.young.size() >= generation) {
        known.old = std::move(known.young);
        known.young.clear();
    }
    return known.young.insert_or_assign(std::string(token), std::move(*claims))
        .first->second.identity;
}

KnownCallers::Cache& KnownCallers::cache() const {
    thread_local Cache mine;
    if (mine.owner != id_) {
        mine = Cache();
        mine.owner = id_;
    }
    return mine;
}

}  // namespace souk::peers
