// A gateway on a virtual clock, with a user module that answers as the test tells it.
#pragma once

#include "base/virtual_clock.hpp"
#include "gateway/gateway.hpp"
#include "security/tokens.hpp"

#include <boost/asio/co_spawn.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace souk::gateway::test {

class FakeUsers final : public user::Api {
public:
    Task<Result<std::vector<user::User>>> get_many(CallContext, std::vector<std::string>) override {
        co_return std::vector<user::User>();
    }
    Task<Result<std::vector<user::SigningKey>>> signing_keys(CallContext) override {
        ++key_calls;
        if (away) co_return unavailable("away", "");
        std::vector<user::SigningKey> keys;
        for (const auto& pair : pairs)
            keys.emplace_back(pair.kid(), pair.public_key());
        co_return keys;
    }
    Task<Result<std::vector<user::Revocation>>> revocations(CallContext, std::int64_t after)
        override {
        if (away) co_return unavailable("away", "");
        std::vector<user::Revocation> page;
        for (const auto& revocation : log)
            if (revocation.position > after && page.size() < 1000) page.push_back(revocation);
        co_return page;
    }

    void revoke(std::string session) {
        log.emplace_back(static_cast<std::int64_t>(log.size()) + 1, std::move(session));
    }

    std::vector<security::SigningKeyPair> pairs{security::SigningKeyPair::generate()};
    std::vector<user::Revocation> log;
    bool away = false;
    int key_calls = 0;
};

/// Counts without a window: a test's minute does not pass.
class FakeLimiter final : public RateLimiter {
public:
    Task<RateDecision> take(std::string_view key, std::int64_t limit, seconds) override {
        RateDecision decision;
        decision.limit = limit;
        const auto used = ++taken[std::string(key)];
        decision.allowed = used <= limit;
        decision.remaining = limit - used;
        decision.reset_s = decision.allowed ? 0 : 7;
        co_return decision;
    }
    std::map<std::string, std::int64_t> taken;
};

inline Settings settings(std::map<std::string, std::string, std::less<>> changes = {}) {
    std::map<std::string, std::string, std::less<>> values{
        {"cors_origins", "https://shop.example, https://other.example"},
        {"browse_per_minute", "1000"},
        {"checkout_per_minute", "100"},
        {"credentials_per_minute", "3"},
        {"import_per_minute", "5000"},
        {"revocation_poll", "500ms"},
    };
    for (auto& [key, value] : changes)
        values[key] = value;
    return Settings(std::move(values));
}

inline http::Route route_for(http::Access access) {
    return http::Route(http::Method::get, "/api/x", access, "", nullptr);
}

class World {
public:
    /// `identity_key`: of a gateway whose modules run elsewhere.
    explicit World(
        Settings with = settings(),
        std::optional<security::SigningKeyPair> identity_key = std::nullopt
    )
        : gateway(make_gateway(
              context.get_executor(), users, limiter, clock, with, std::move(identity_key)
          )) {}
    World(const World&) = delete;
    ~World() { run(gateway->stop()); }

    Result<void> start() {
        auto result = run_value(gateway->start());
        return result;
    }

    /// Runs `task` and whatever else is ready; time stands still.
    template <class T>
    T run_value(Task<T> task) {
        std::optional<T> out;
        asio::co_spawn(context, std::move(task), [&](const std::exception_ptr& failure, T value) {
            if (failure) std::rethrow_exception(failure);
            out.emplace(std::move(value));
        });
        settle();
        return std::move(out.value());
    }
    void run(Task<void> task) {
        bool ended = false;
        asio::co_spawn(context, std::move(task), [&](const std::exception_ptr& failure) {
            if (failure) std::rethrow_exception(failure);
            ended = true;
        });
        settle();
        if (!ended) throw std::logic_error("still waiting");
    }
    void settle() {
        context.restart();
        context.poll();
    }
    void advance(microseconds duration) {
        clock.advance(duration);
        settle();
    }
    /// In steps of the poll, as real time passes.
    void live(microseconds duration) {
        for (; duration > microseconds(0); duration -= milliseconds(500))
            advance(milliseconds(500));
    }

    std::string token(
        std::string role, std::string session = "ses_1", std::size_t signing_key = 0
    ) {
        security::AccessClaims claims;
        claims.identity = Identity("usr_" + role, {role}, std::move(session));
        claims.issued_at = clock.now();
        claims.expires_at = clock.now() + std::chrono::minutes(10);
        return security::issue_access_token(users.pairs.at(signing_key), claims);
    }

    Result<Identity> admit(
        const http::Route& route, std::string_view token, std::string address = "192.0.2.1"
    ) {
        http::Request request;
        request.remote_address = std::move(address);
        if (!token.empty()) request.headers.add("Authorization", "Bearer " + std::string(token));
        return admit(route, request);
    }
    Result<Identity> admit(const http::Route& route, const http::Request& request) {
        headers.clear();
        return run_value(gateway->admit(route, request, headers));
    }

    /// What the gateway says to other processes of the caller.
    std::string word_on(const http::Route& route, std::string_view token) {
        http::Request request;
        http::Arrival arrival;
        if (!token.empty()) request.headers.add("Authorization", "Bearer " + std::string(token));
        run_value(gateway->admit_arrival(route, request, arrival, headers)).value();
        return arrival.identity_token;
    }

    asio::io_context context;
    base::VirtualClock clock;
    FakeUsers users;
    FakeLimiter limiter;
    http::Headers headers;  // of the last answer
    std::unique_ptr<Gateway> gateway;
};

/// "200" or the status and code of the refusal.
inline std::string outcome(const Result<Identity>& admitted) {
    if (admitted) return "200";
    return std::to_string(http_status(admitted.error().kind)) + " " + admitted.error().code;
}

}  // namespace souk::gateway::test
