// The user module's routes over a database of its own (SQLite, or what SOUK_TEST_DATABASE says),
// called as the kernel calls them.
#pragma once

#include "app/local_api.hpp"
#include "app/services.hpp"
#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "http/routes.hpp"
#include "souk/module.hpp"
#include "support/database_fixture.hpp"
#include "support/run_task.hpp"

#include <boost/json/object.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>

namespace souk::user {
const ModuleInfo& module();
}

namespace souk::user::test {

struct Answer {
    int status = 0;
    json::object body;  // a problem document's members when status >= 400
    std::string code() const {
        const auto* member = body.if_contains("code");
        return member == nullptr ? "" : std::string(member->as_string());
    }
    std::string text(std::string_view member) const {
        return std::string(body.at(member).as_string());
    }
};

class World {
public:
    World() {
        Settings settings({
            {"access_token_ttl", "10m"},
            {"refresh_token_ttl", "30d"},
            {"hash_threads", "1"},
            {"hash_queue", "2"},
        });
        services = std::make_unique<app::Services>(database, clock, *limiter, settings);
        services->signing_key = security::SigningKeyPair::generate();
        routes = http_api::routes(*services);
        for (auto& route : http_api::internal_routes(*services))
            routes.push_back(std::move(route));
        api = std::make_unique<app::LocalApi>(*services);
    }
    World(const World&) = delete;

    template <class T>
    T run(Task<T> task) {
        return souk::test::run_task(context, std::move(task));
    }

    const http::Route& route(std::string_view pattern) const {
        for (const auto& route : routes)
            if (route.pattern == pattern) return route;
        throw std::logic_error("no such route");
    }

    Answer call(std::string_view pattern, std::string_view body, Identity caller = Identity()) {
        http::Request request;
        request.path = pattern;
        request.body = body;
        const CallContext ctx(
            std::move(caller), Deadline(clock, seconds(5)), "req_1", std::string()
        );
        auto result = run(route(pattern).handler(ctx, request));
        const auto response =
            result ? std::move(*result) : http::Response::problem(result.error(), "req_1");
        Answer answer;
        answer.status = response.status;
        if (!response.body.empty()) answer.body = json::parse(response.body).value().as_object();
        return answer;
    }

    Answer sign_up(std::string_view email, std::string_view password = "correct horse") {
        return call(
            "/api/users/register",
            fmt::format(
                R"({{"email":"{}","password":"{}","name":"Ada Lovelace"}})", email, password
            )
        );
    }
    Answer log_in(std::string_view email, std::string_view password = "correct horse") {
        return call(
            "/api/users/login", fmt::format(R"({{"email":"{}","password":"{}"}})", email, password)
        );
    }
    Answer refresh(std::string_view token) {
        return call("/api/users/refresh", fmt::format(R"({{"refresh_token":"{}"}})", token));
    }
    Answer put_account(std::string_view role, std::string_view password, bool reset) {
        return call(
            "/internal/user/accounts",
            fmt::format(
                R"({{"email":"boss@example.com","name":"Boss","role":"{}","password":"{}",)"
                R"("reset":{}}})",
                role,
                password,
                reset
            )
        );
    }
    /// Whom the access token of `answer` names.
    Identity identity_in(const Answer& answer) const {
        security::TokenVerifier verifier;
        const auto& key = *services->signing_key;
        verifier.set_keys({{key.kid(), key.public_key()}});
        return verifier.verify(answer.text("access_token"), clock.now()).value().identity;
    }
    std::vector<Revocation> revocations(std::int64_t after = 0) {
        const CallContext ctx(Deadline(clock, seconds(1)));
        return run(api->revocations(ctx, after)).value();
    }

    /// Every value of every row.
    std::string all_that_is_stored() {
        static constexpr Statement users{
            "test.users",
            "SELECT id || email || name || country || role || COALESCE(password_hash, '') || "
            "COALESCE(source, '') || COALESCE(external_ref, '') FROM users",
            "SELECT CAST(u AS TEXT) FROM users u"};
        static constexpr Statement sessions{
            "test.sessions",
            "SELECT id || user_id FROM sessions",
            "SELECT CAST(s AS TEXT) FROM sessions s"};
        static constexpr Statement tokens{
            "test.tokens",
            "SELECT hash || session_id FROM refresh_tokens",
            "SELECT CAST(t AS TEXT) FROM refresh_tokens t"};
        std::string out;
        for (const Statement* statement : {&users, &sessions, &tokens}) {
            const auto rows = run(database.query(*statement, Params(), Deadline::never())).value();
            for (std::size_t i = 0; i < rows.size(); ++i)
                out += rows[i].string(0) + '\n';
        }
        return out;
    }

    asio::io_context context;
    base::VirtualClock clock;
    souk::test::DatabaseFixture fixture{module().migrations, clock};
    Database& database = fixture.database();
    std::unique_ptr<RateLimiter> limiter = cache::make_memory_rate_limiter(clock, 1000);
    std::unique_ptr<app::Services> services;
    std::unique_ptr<Api> api;
    http::Routes routes;
};

}  // namespace souk::user::test
