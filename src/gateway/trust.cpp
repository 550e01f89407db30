#include "gateway/trust.hpp"

#include "base/generations.hpp"
#include "base/signal.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

namespace souk::gateway {

namespace {

constexpr seconds call_timeout{1};
constexpr seconds key_reload_interval{60};
constexpr seconds unknown_key_interval{1};
constexpr std::size_t full_page = 1000;
// Access tokens live for minutes. By the steady clock, so that no step of wall time shortens it.
constexpr std::chrono::hours memory_of_revocations{2};

Error invalid_token() {
    return Error(
        ErrorKind::unauthenticated, "invalid_token", "The access token is missing or not valid."
    );
}

Error signing_keys_away() {
    return unavailable("signing_keys_away", "Access tokens cannot be checked at the moment.");
}

constexpr std::size_t generation = 1'024;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

using VerifiedTokens = base::Generations<security::AccessClaims>;

/// The tokens that this thread has verified with the keys `id`: newer ones start anew, so that a
/// key that was withdrawn takes its tokens with it.
VerifiedTokens& verified_with(std::uint64_t id) {
    thread_local VerifiedTokens tokens(generation);
    thread_local std::uint64_t owner = 0;
    if (owner != id) {
        tokens.clear();
        owner = id;
    }
    return tokens;
}

bool is_away(const Error& error) {
    return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::timeout;
}

}  // namespace

Trust::Trust(Executor executor, user::Api& users, Clock& clock, milliseconds revocation_poll)
    : executor_(executor)
    , users_(users)
    , clock_(clock)
    , revocation_poll_(revocation_poll)
    , keys_(std::make_shared<const Keys>())
    , revoked_(std::make_shared<const Sessions>())
    , revocations_as_of_(clock.steady() - memory_of_revocations)
    , keys_asked_at_(clock.steady()) {}

Trust::~Trust() = default;

Task<Result<void>> Trust::start() {
    auto loaded = co_await load_all();
    if (!loaded && !is_away(loaded.error())) co_return loaded;
    report(loaded);
    ended_ = base::Signal::make(executor_);
    auto on_end = [this, ended = ended_](const std::exception_ptr& failure) {
        const bool cancelled = stopping_;
        ended->set();
        if (failure && !cancelled) std::rethrow_exception(failure);
    };
    auto token = asio::bind_cancellation_slot(cancel_.slot(), std::move(on_end));
    asio::co_spawn(executor_, follow(), std::move(token));
    co_return Result<void>();
}

Task<void> Trust::stop() {
    if (ended_) co_await asio::co_spawn(executor_, shut_down(), use_task);
}

Task<void> Trust::shut_down() {
    stopping_ = true;
    cancel_.emit(asio::cancellation_type::terminal);
    co_await ended_->wait();
}

Task<Result<void>> Trust::load_all() {
    auto keys = co_await load_keys();
    if (!keys) co_return keys;
    co_return co_await load_revocations();
}

Task<void> Trust::follow() {
    SteadyTime reload_keys_at = clock_.steady() + key_reload_interval;
    while (co_await clock_.sleep(revocation_poll_)) {
        if (!has_keys_) {
            auto first = co_await load_all();
            report(first);
            continue;
        }
        auto loaded = co_await load_revocations();
        report(loaded);
        if (clock_.steady() < reload_keys_at) continue;
        auto keys = co_await load_keys();
        report(keys);
        forget_old_revocations();
        reload_keys_at = clock_.steady() + key_reload_interval;
    }
}

CallContext Trust::call_context() const {
    return CallContext(Deadline(clock_, call_timeout));
}

Task<Result<void>> Trust::load_keys() {
    keys_asked_at_.store(clock_.steady());
    auto keys = co_await users_.signing_keys(call_context());
    if (!keys) co_return keys.error();
    if (keys->empty()) co_return unavailable("signing_keys", "The user module has no signing key.");
    std::map<std::string, std::string, std::less<>> by_kid;
    for (auto& key : *keys)
        by_kid.emplace(std::move(key.kid), std::move(key.public_key));
    auto published = std::make_shared<Keys>();
    published->verifier.set_keys(std::move(by_kid));
    published->id = next_id();
    keys_.publish(std::move(published));
    has_keys_ = true;
    co_return Result<void>();
}

Task<Result<void>> Trust::load_revocations() {
    for (;;) {
        const SteadyTime asked_at = clock_.steady();  // what comes may be as old as that
        auto page = co_await users_.revocations(call_context(), position_);
        if (!page) co_return page.error();
        remember(*page);
        if (page->size() >= full_page) continue;
        revocations_as_of_.store(asked_at);
        informed_ = true;  // the keys are read before
        co_return Result<void>();
    }
}

void Trust::remember(const std::vector<user::Revocation>& page) {
    if (page.empty()) return;
    auto revoked = std::make_shared<Sessions>(revoked_.read());
    for (const auto& revocation : page) {
        revoked->insert(revocation.session);
        remembered_.emplace_back(clock_.steady(), revocation.session);
        position_ = std::max(position_, revocation.position);
    }
    revoked_.publish(std::move(revoked));
}

void Trust::forget_old_revocations() {
    const SteadyTime oldest = clock_.steady() - memory_of_revocations;
    if (remembered_.empty() || remembered_.front().since >= oldest) return;
    auto revoked = std::make_shared<Sessions>(revoked_.read());
    for (; !remembered_.empty() && remembered_.front().since < oldest; remembered_.pop_front())
        revoked->erase(remembered_.front().session);
    revoked_.publish(std::move(revoked));
}

void Trust::report(const Result<void>& loaded) {
    const bool lost = !loaded;
    if (lost && !lost_)
        log_.warn(
            "the user module is out of reach: its keys and revocations may be old",
            {{"code", loaded.error().code}}
        );
    if (!lost && lost_) log_.info("the user module's keys and revocations are followed again");
    lost_ = lost;
}

bool Trust::claim_key_reload() {
    const SteadyTime now = clock_.steady();
    SteadyTime last = keys_asked_at_.load();
    return now - last >= unknown_key_interval && keys_asked_at_.compare_exchange_strong(last, now);
}

Task<Result<Identity>> Trust::identify(std::string_view token) {
    if (!keys_.read().verifier.knows_header_of(token) && claim_key_reload()) {
        auto loaded = co_await load_keys();
        if (!loaded) log_.warn("signing keys are out of reach", {{"code", loaded.error().code}});
    }
    if (!has_keys_) co_return signing_keys_away();
    const Keys& keys = keys_.read();
    auto claims = keys.verifier.verify(token, clock_.now());
    if (!claims) co_return invalid_token();
    co_return unless_revoked(verified_with(keys.id).put(token, std::move(*claims)));
}

std::optional<Result<Identity>> Trust::recall(std::string_view token) const {
    const auto* claims = verified_with(keys_.read().id).find(token);
    if (claims == nullptr || clock_.now() >= claims->expires_at) return std::nullopt;
    return unless_revoked(*claims);
}

Result<Identity> Trust::unless_revoked(const security::AccessClaims& claims) const {
    if (revoked_.read().contains(claims.identity.session)) return invalid_token();
    return claims.identity;
}

microseconds Trust::staleness() const {
    return clock_.steady() - revocations_as_of_.load();
}

}  // namespace souk::gateway
