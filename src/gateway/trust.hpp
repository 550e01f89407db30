// Which access tokens to believe: the user module's signing keys and its log of revoked sessions,
// both followed by one background task and read by every I/O thread as snapshots that are swapped
// as a whole, so that no request waits for a lock or for the user module.
#pragma once

#include "gateway/published.hpp"
#include "security/tokens.hpp"
#include "souk/async.hpp"
#include "souk/clock.hpp"
#include "souk/log.hpp"
#include "souk/user/api.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace souk::base {
class Signal;
}

namespace souk::gateway {

class Trust {
public:
    Trust(Executor executor, user::Api& users, Clock& clock, milliseconds revocation_poll);
    ~Trust();

    /// Loads both, then follows them. While the user module is away (in another process) nobody
    /// can be identified; all else goes on. Errors: what user answers otherwise.
    Task<Result<void>> start();
    Task<void> stop();

    /// From any thread. When the token's key is unknown, asks for newer keys, at most once a
    /// second. Errors: `unauthenticated` "invalid_token", the same for every fault of the token;
    /// `unavailable` "signing_keys_away" as long as no key is known.
    Task<Result<Identity>> identify(std::string_view token);
    /// What identify() would say of a token that this thread has verified a moment ago, without
    /// its signature, which costs twenty times the rest of a request. Nothing for all others.
    std::optional<Result<Identity>> recall(std::string_view token) const;

    /// Whether keys and revocations were read once: until then nobody can be identified.
    bool is_informed() const { return informed_; }
    /// How old our knowledge of revocations is.
    microseconds staleness() const;

private:
    struct StringHash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    using Sessions = std::unordered_set<std::string, StringHash, std::equal_to<>>;

    struct Keys {
        security::TokenVerifier verifier;
        std::uint64_t id = 0;  // no other keys of this process ever have it
    };

    Result<Identity> unless_revoked(const security::AccessClaims& claims) const;
    Task<Result<void>> load_all();
    Task<Result<void>> load_keys();
    Task<Result<void>> load_revocations();
    Task<void> follow();
    Task<void> shut_down();
    bool claim_key_reload();
    void remember(const std::vector<user::Revocation>& page);
    void forget_old_revocations();
    void report(const Result<void>& loaded);
    CallContext call_context() const;

    Executor executor_;
    user::Api& users_;
    Clock& clock_;
    const milliseconds revocation_poll_;
    Logger log_{"gateway"};

    // Read by all threads.
    Published<Keys> keys_;
    Published<Sessions> revoked_;
    std::atomic<SteadyTime> revocations_as_of_;
    std::atomic<SteadyTime> keys_asked_at_;
    std::atomic<bool> has_keys_ = false;
    std::atomic<bool> informed_ = false;

    // Touched by the following task only (and by start(), before it runs).
    struct Remembered {
        Remembered(SteadyTime since, std::string session)
            : since(since), session(std::move(session)) {}
        SteadyTime since;
        std::string session;
    };
    std::deque<Remembered> remembered_;
    std::int64_t position_ = 0;
    bool lost_ = false;
    bool stopping_ = false;
    asio::cancellation_signal cancel_;
    std::shared_ptr<base::Signal> ended_;  // null until it runs
};

}  // namespace souk::gateway
