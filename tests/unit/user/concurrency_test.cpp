// What replicas of the module do to each other. On SQLite the same cases run one after another.
#include "app/import_customers.hpp"
#include "app/logout.hpp"
#include "app/put_account.hpp"
#include "app/refresh.hpp"
#include "app/register_account.hpp"
#include "souk/id.hpp"
#include "store/accounts.hpp"
#include "store/sessions.hpp"
#include "unit/product/replicas.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

namespace souk::user {
const ModuleInfo& module();
}

using namespace souk;
using namespace souk::test;
namespace app = souk::user::app;
namespace store = souk::user::store;

namespace {

constexpr auto email = "ada@example.com";

class Offices : public Replicas {
public:
    Offices() : Replicas(user::module().migrations) {
        const Settings settings({
            {"access_token_ttl", "10m"},
            {"refresh_token_ttl", "30d"},
            {"hash_threads", "1"},
            {"hash_queue", "16"},
        });
        const auto key = security::SigningKeyPair::generate();
        for (std::size_t i = 0; i < count; ++i) {
            services_.push_back(std::make_unique<app::Services>(
                (*this)[i], base::system_clock(), *limiter, settings
            ));
            services_.back()->signing_key = key;
        }
    }
    app::Services& at(std::size_t i) { return *services_[i % count]; }

    /// An account that signs in with what hashes to "hash"; its id.
    std::string add_account() {
        TransactionBody body = [this](Transaction& tx) {
            return store::insert_account(tx, account("usr_1", "hash"));
        };
        run((*this)[0].transact(std::move(body), never)).value();
        return "usr_1";
    }
    static store::Login account(std::string id, std::string hash) {
        user::User user;
        user.id = std::move(id);
        user.email = email;
        user.name = "Ada";
        user.role = "customer";
        return store::Login(std::move(user), std::move(hash));
    }

    /// What a sign-in does when the password is right: opens the session `name`, whose first
    /// refresh token is the same word. False when the password has changed since.
    Task<Result<bool>> open_session(std::size_t replica, std::string name) {
        auto opened = std::make_shared<bool>(false);
        const Timestamp now = base::system_clock().now();
        const Timestamp expiry = now + std::chrono::hours(1);
        store::RefreshToken token(sha256_hex(name), name, expiry);
        TransactionBody body = [=](Transaction& tx) { return open_in(tx, token, now, opened); };
        auto done = co_await (*this)[replica].transact(std::move(body), never);
        if (!done) co_return done.error();
        co_return *opened;
    }
    Task<Result<bool>> refresh(std::size_t replica, std::string token) {
        auto signed_in = co_await app::refresh(at(replica), std::move(token), never);
        if (signed_in) co_return true;
        if (signed_in.error().code == "invalid_refresh_token") co_return false;
        co_return signed_in.error();
    }
    Task<Result<bool>> log_out(std::size_t replica, std::string session) {
        auto done = co_await app::logout(at(replica), std::move(session), never);
        if (!done) co_return done.error();
        co_return true;
    }
    /// A new password, and all sessions that were opened with the old one ended.
    Task<Result<bool>> reset(std::size_t replica, std::string hash) {
        TransactionBody body = [=](Transaction& tx) { return reset_in(tx, hash); };
        auto done = co_await (*this)[replica].transact(std::move(body), never);
        if (!done) co_return done.error();
        co_return true;
    }
    /// As a gateway: asks for what comes after what it has seen, until `total` are there.
    Task<Result<std::vector<user::Revocation>>> follow(std::size_t replica, std::size_t total) {
        std::vector<user::Revocation> seen;
        while (seen.size() < total) {
            const std::int64_t after = seen.empty() ? 0 : seen.back().position;
            auto page = co_await store::revocations_after((*this)[replica], after, never);
            if (!page) co_return page.error();
            seen.insert(seen.end(), page->begin(), page->end());
            co_await base::system_clock().sleep(milliseconds(1));
            if (base::system_clock().steady() > give_up_) break;
        }
        co_return seen;
    }
    std::vector<user::Revocation> log() {
        return run(store::revocations_after((*this)[0], 0, never)).value();
    }

    const Deadline never = Deadline::never();

private:
    static Task<Result<void>> open_in(
        Transaction& tx, store::RefreshToken token, Timestamp now, std::shared_ptr<bool> opened
    ) {
        auto same = co_await store::has_password(tx, "usr_1", "hash");
        if (!same) co_return same.error();
        *opened = *same;
        if (!*same) co_return Result<void>();
        co_return co_await store::insert_session(tx, "usr_1", token, now);
    }
    static Task<Result<void>> reset_in(Transaction& tx, std::string hash) {
        auto user = co_await store::put_account(tx, account("usr_other", hash));
        if (!user) co_return user.error();
        co_return co_await store::revoke_sessions_of(tx, user->id, base::system_clock().now());
    }

    std::vector<std::unique_ptr<app::Services>> services_;
    const SteadyTime give_up_ = base::system_clock().steady() + seconds(20);
};

std::string session(int i) {
    return fmt::format("ses_{:03}", i);
}

}  // namespace

TEST_CASE("a refresh token that replicas take at once works once, and its session ends") {
    Offices offices;
    offices.add_account();
    REQUIRE(offices.run(offices.open_session(0, "ses_1")).value());
    std::vector<Task<Result<bool>>> tries;
    for (std::size_t i = 0; i < 20; ++i)
        tries.push_back(offices.refresh(i, "ses_1"));
    int worked = 0;
    for (const auto& result : offices.run_all(std::move(tries)))
        worked += result.value();
    CHECK(worked == 1);
    REQUIRE(offices.log().size() == 1);
    CHECK(offices.log()[0].session == "ses_1");
    CHECK(offices.number("SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL") == 0);
}

TEST_CASE("ending all sessions misses none that is refreshed, left or opened beside it") {
    Offices offices;
    offices.add_account();
    constexpr int open = 24;
    for (int i = 0; i < open; ++i)
        REQUIRE(offices.run(offices.open_session(0, session(i))).value());

    std::vector<Task<Result<bool>>> tasks;
    for (int i = open - 1; i >= 0; --i) {
        const auto replica = static_cast<std::size_t>(i);
        if (i == open / 2) tasks.push_back(offices.reset(3, "another hash"));
        if (i == open / 3) tasks.push_back(offices.reset(2, "a third hash"));
        tasks.push_back(offices.refresh(replica, session(i)));
        if (i % 3 == 0) tasks.push_back(offices.log_out(replica + 1, session(i)));
        tasks.push_back(offices.open_session(replica + 2, session(100 + i)));
    }
    for (const auto& result : offices.run_all(std::move(tasks)))
        CHECK(result);
    CHECK(offices.reruns() == 0);
    CHECK(offices.number("SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL") == 0);
    const auto sessions = offices.number("SELECT COUNT(*) FROM sessions");
    const auto log = offices.log();
    CHECK(static_cast<std::int64_t>(log.size()) == sessions);
    std::set<std::string> revoked;
    for (std::size_t i = 0; i < log.size(); ++i) {
        CHECK(log[i].position == static_cast<std::int64_t>(i) + 1);
        revoked.insert(log[i].session);
    }
    CHECK(revoked.size() == log.size());
}

TEST_CASE("who follows the revocations skips none, however their commits fall") {
    Offices offices;
    offices.add_account();
    constexpr int sessions = 60;
    for (int i = 0; i < sessions; ++i)
        REQUIRE(offices.run(offices.open_session(0, session(i))).value());
    std::vector<Task<Result<std::vector<user::Revocation>>>> tasks;
    const auto leave = [&](std::size_t replica,
                           std::string name) -> Task<Result<std::vector<user::Revocation>>> {
        auto done = co_await offices.log_out(replica, std::move(name));
        if (!done) co_return done.error();
        co_return std::vector<user::Revocation>();
    };
    tasks.push_back(offices.follow(0, sessions));
    tasks.push_back(offices.follow(3, sessions));
    for (int i = 0; i < sessions; ++i)
        tasks.push_back(leave(static_cast<std::size_t>(i), session(i)));
    const auto results = offices.run_all(std::move(tasks));
    for (const auto& result : results)
        REQUIRE(result);
    for (int reader = 0; reader < 2; ++reader) {
        const auto& seen = *results[static_cast<std::size_t>(reader)];
        REQUIRE(seen.size() == sessions);
        for (int i = 0; i < sessions; ++i)
            CHECK(seen[static_cast<std::size_t>(i)].position == i + 1);
    }
    CHECK(offices.reruns() == 0);
}

TEST_CASE("replicas import the same customers in opposite orders and need not run again") {
    Offices offices;
    constexpr int customers = 200;
    std::vector<std::string> ids;
    for (int round = 0; round < 4; ++round) {
        std::vector<Task<Result<std::vector<store::ImportedId>>>> imports;
        for (std::size_t replica = 0; replica < 4; ++replica) {
            app::CustomerImport input;
            input.source = "retail";
            for (int i = 0; i < customers; ++i) {
                store::ImportedCustomer customer;
                customer.external_ref = fmt::format("{:03}", i);
                customer.name = fmt::format("round {} of {}", round, replica);
                input.customers.push_back(std::move(customer));
            }
            if (replica % 2 == 1) std::reverse(input.customers.begin(), input.customers.end());
            imports.push_back(
                app::import_customers(offices.at(replica), std::move(input), offices.never)
            );
        }
        const auto results = offices.run_all(std::move(imports));
        for (std::size_t replica = 0; replica < results.size(); ++replica) {
            REQUIRE(results[replica]);
            std::vector<std::string> own;
            for (std::size_t i = 0; i < customers; ++i) {
                const auto& one = (*results[replica])[i];
                const std::size_t ref = replica % 2 == 1 ? customers - 1 - i : i;
                CHECK(one.external_ref == fmt::format("{:03}", ref));
                own.push_back(one.id);
            }
            if (replica % 2 == 1) std::reverse(own.begin(), own.end());
            if (ids.empty()) ids = own;
            CHECK(own == ids);
        }
    }
    CHECK(offices.number("SELECT COUNT(*) FROM users") == customers);
    CHECK(offices.reruns() == 0);
}

TEST_CASE("an e-mail that replicas register at once is taken once") {
    Offices offices;
    std::vector<Task<Result<app::SignedIn>>> tries;
    for (std::size_t i = 0; i < 4; ++i) {
        app::Registration input;
        input.email = i % 2 == 1 ? "ADA@example.com" : email;
        input.password = "correct horse";
        input.name = "Ada";
        tries.push_back(app::register_account(offices.at(i), std::move(input), offices.never));
    }
    int made = 0;
    int told = 0;
    for (const auto& result : offices.run_all(std::move(tries))) {
        made += result.has_value();
        told += result.has_error() && result.error().code == "email_taken";
    }
    CHECK(made == 1);
    CHECK(told == 3);
}

TEST_CASE("replicas that set up the same account at once have one, and all succeed") {
    Offices offices;
    std::vector<Task<Result<user::User>>> tries;
    for (std::size_t i = 0; i < 4; ++i) {
        app::AccountInput input;
        input.email = email;
        input.password = "correct horse";
        input.name = "Boss";
        input.role = "admin";
        input.reset = true;
        tries.push_back(app::put_account(offices.at(i), std::move(input), offices.never));
    }
    std::set<std::string> ids;
    for (const auto& result : offices.run_all(std::move(tries))) {
        REQUIRE(result);
        ids.insert(result->id);
    }
    CHECK(ids.size() == 1);
    CHECK(offices.number("SELECT COUNT(*) FROM users") == 1);
}

TEST_CASE("keys of people and sessions are compared byte by byte in any locale") {
    Offices offices;
    CHECK(offices.columns_in_locale_order() == 0);
}
