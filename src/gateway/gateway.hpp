// The public edge: authenticates customers' access tokens, follows the user module's revocations,
// applies rate limits and CORS. The only one that takes customers' credentials.
#pragma once

#include "http/edge.hpp"
#include "security/tokens.hpp"
#include "souk/cache.hpp"
#include "souk/log.hpp"
#include "souk/settings.hpp"
#include "souk/user/api.hpp"

#include <memory>
#include <optional>
#include <string>

namespace souk::gateway {

class Gateway : public http::Edge {
public:
    /// Loads the signing keys and the revocations, then follows both. Errors: what user answers.
    virtual Task<Result<void>> start() = 0;
    virtual Task<void> stop() = 0;
    /// Why nobody should be sent here yet: who is signed in cannot be told. Empty from then on that
    /// the user module was reached once.
    virtual std::string unready() const = 0;
};

/// `identity_key`: where modules run in other processes: it signs who asks, for them.
std::unique_ptr<Gateway> make_gateway(
    Executor executor,
    user::Api& users,
    RateLimiter& limiter,
    Clock& clock,
    const Settings& settings,
    std::optional<security::SigningKeyPair> identity_key = std::nullopt
);

}  // namespace souk::gateway
