#include "store/accounts.hpp"

#include "app/login.hpp"
#include "security/passwords.hpp"
#include "store/sessions.hpp"
#include "unit/user/support.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::user::test;

namespace {

constexpr std::string_view two_customers =
    R"({"source":"retail","customers":[
        {"external_ref":"12346","name":"Customer 12346","country":"Iceland"},
        {"external_ref":"12347","name":"B","email":"Bob@example.com","country":"France"}]})";

std::vector<std::string> ids_in(const Answer& answer) {
    std::vector<std::string> ids;
    for (const auto& row : answer.body.at("data").as_array())
        ids.emplace_back(row.at("id").as_string());
    return ids;
}

}  // namespace

TEST_CASE("importing customers twice makes them once") {
    World world;
    const auto first = world.call("/api/users/import", two_customers);
    REQUIRE(first.status == 200);
    const auto ids = ids_in(first);
    REQUIRE(ids.size() == 2);
    CHECK(ids[0] != ids[1]);
    CHECK(first.body.at("data").at(1).at("external_ref").as_string() == "12347");
    CHECK(ids_in(world.call("/api/users/import", two_customers)) == ids);

    const auto renamed = world.call(
        "/api/users/import",
        R"({"source":"retail","customers":[{"external_ref":"12347","name":"New"}]})"
    );
    CHECK(ids_in(renamed) == std::vector<std::string>{ids[1]});
    const CallContext ctx(Deadline(world.clock, seconds(1)));
    const auto users = world.run(world.api->get_many(ctx, ids)).value();
    REQUIRE(users.size() == 2);
    for (const auto& user : users)
        CHECK(user.name == (user.id == ids[1] ? "New" : "Customer 12346"));

    const auto elsewhere = world.call(
        "/api/users/import",
        R"({"source":"other","customers":[{"external_ref":"12347","name":"Another"}]})"
    );
    CHECK(ids_in(elsewhere)[0] != ids[1]);
}

TEST_CASE("an imported customer cannot sign in, and takes nobody's e-mail") {
    World world;
    REQUIRE(world.call("/api/users/import", two_customers).status == 200);
    CHECK(world.log_in("bob@example.com").status == 401);
    CHECK(world.log_in("bob@example.com", " ").status == 401);
    CHECK(world.sign_up("bob@example.com").status == 201);
    CHECK(world.call("/api/users/import", two_customers).status == 200);
    CHECK(world.log_in("bob@example.com").status == 200);
}

TEST_CASE("an import has 1 to 500 customers, and one fault refuses all") {
    World world;
    const auto import = [&](int count, std::string_view last) {
        std::string body = R"({"source":"s","customers":[)";
        for (int i = 0; i < count; ++i)
            body += fmt::format(R"({{"external_ref":"{}","name":"n"}},)", i);
        if (last.empty() && count > 0) body.pop_back();
        return world.call("/api/users/import", body + std::string(last) + "]}");
    };
    CHECK(import(0, "").status == 400);
    CHECK(import(501, "").status == 400);
    const auto faulty = import(2, R"({"external_ref":"x","name":"n","role":"admin"})");
    CHECK(faulty.status == 400);
    CHECK(faulty.body.at("errors").at(0).at("pointer").as_string() == "/customers/2/role");
    const auto audit = world.call("/internal/user/audit", "");
    CHECK(audit.body.at("data").as_array().size() == 1);  // no users, only the revocations' count
    CHECK(import(500, "").status == 200);
}

TEST_CASE("the operator makes accounts of any role") {
    World world;
    const auto made = world.put_account("admin", "first password", false);
    REQUIRE(made.status == 201);
    CHECK(made.text("role") == "admin");
    const auto signed_in = world.log_in("boss@example.com", "first password");
    REQUIRE(signed_in.status == 200);
    CHECK(world.identity_in(signed_in).roles == std::vector<std::string>{"admin"});

    const auto again = world.put_account("staff", "second password", false);
    CHECK(again.status == 409);
    CHECK(again.code() == "email_taken");
    CHECK(world.log_in("boss@example.com", "first password").status == 200);
    CHECK(world.put_account("emperor", "third password", true).status == 400);
}

TEST_CASE("a reset ends also what is just signing in with the old password") {
    World world;
    REQUIRE(world.put_account("admin", "first password", true).status == 201);
    user::store::Login changed(user::User(), security::hash_password("second password").value());
    changed.user.email = "boss@example.com";
    changed.user.name = "Boss";
    changed.user.role = "staff";

    // Its hash waits for another one, so that there is time between its reading and its writing.
    const auto ignore = [](const std::exception_ptr&, auto&&) {};
    asio::co_spawn(world.context, world.services->hasher.verify(std::nullopt, "x"), ignore);
    user::app::Credentials credentials;
    credentials.email = "boss@example.com";
    credentials.password = "first password";
    std::optional<Result<user::app::SignedIn>> signed_in;
    asio::co_spawn(
        world.context,
        user::app::login(*world.services, std::move(credentials), Deadline::never()),
        [&](const std::exception_ptr&, Result<user::app::SignedIn> answer) {
            signed_in.emplace(std::move(answer));
        }
    );
    world.context.restart();
    world.context.run_for(std::chrono::milliseconds(30));
    std::string id;
    TransactionBody body = [&](Transaction& tx) -> Task<Result<void>> {
        auto user = co_await user::store::put_account(tx, changed);
        id = user.value().id;
        co_return co_await user::store::revoke_sessions_of(tx, id, world.clock.now());
    };
    world.run(world.database.transact(body, Deadline::never())).value();
    while (!signed_in)
        world.context.run_one();
    if (*signed_in) CHECK(world.refresh((*signed_in)->refresh_token).status == 401);
}

TEST_CASE("resetting an account sets password and role and ends its sessions") {
    World world;
    REQUIRE(world.put_account("admin", "first password", true).status == 201);
    const auto old = world.log_in("boss@example.com", "first password");
    const auto older = world.log_in("boss@example.com", "first password");
    const auto reset = world.put_account("staff", "second password", true);
    CHECK(reset.status == 201);
    CHECK(reset.text("id") == world.identity_in(old).subject);
    CHECK(reset.text("role") == "staff");

    CHECK(world.log_in("boss@example.com", "first password").status == 401);
    CHECK(world.log_in("boss@example.com", "second password").status == 200);
    CHECK(world.refresh(old.text("refresh_token")).status == 401);
    CHECK(world.refresh(older.text("refresh_token")).status == 401);
    CHECK(world.revocations().size() == 2);
}

TEST_CASE("the audit counts users by role and revocations") {
    World world;
    REQUIRE(world.call("/api/users/import", two_customers).status == 200);
    REQUIRE(world.put_account("admin", "first password", false).status == 201);
    const auto identity = world.identity_in(world.log_in("boss@example.com", "first password"));
    REQUIRE(world.call("/api/users/logout", "", identity).status == 204);
    const auto audit = world.call("/internal/user/audit", "");
    CHECK(
        json::serialize(audit.body.at("data")) ==
        R"([{"kind":"user_count","role":"admin","count":1},)"
        R"({"kind":"user_count","role":"customer","count":2},)"
        R"({"kind":"revocation_count","count":1}])"
    );
    CHECK_FALSE(audit.body.at("has_more").as_bool());
}

TEST_CASE("unknown ids are left out, and too many refused") {
    World world;
    const auto identity = world.identity_in(world.sign_up("ada@example.com"));
    const CallContext ctx(Deadline(world.clock, seconds(1)));
    const std::vector<std::string> ids{"usr_unknown", identity.subject, "' OR 1=1 --"};
    const auto users = world.run(world.api->get_many(ctx, ids)).value();
    REQUIRE(users.size() == 1);
    CHECK(users[0].email == "ada@example.com");
    const auto refused = world.run(world.api->get_many(ctx, std::vector<std::string>(501, "x")));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == "too_many_ids");
}

TEST_CASE("text that looks like SQL is taken literally") {
    World world;
    const std::string name = "Robert'); DROP TABLE users;--";
    const auto answer = world.call(
        "/api/users/register",
        fmt::format(R"({{"email":"bobby@example.com","password":"12345678","name":"{}"}})", name)
    );
    REQUIRE(answer.status == 201);
    const auto me = world.call("/api/users/me", "", world.identity_in(answer));
    CHECK(me.text("name") == name);
    CHECK(world.log_in("x'OR'1'='1@example.com").status == 401);
}

TEST_CASE("every route says who may call it, how often, and what it takes") {
    World world;
    using http::Access;
    using http::RateClass;
    CHECK(world.route("/api/users/login").rate_class == RateClass::credentials);
    CHECK(world.route("/api/users/register").rate_class == RateClass::credentials);
    CHECK(world.route("/api/users/refresh").rate_class == RateClass::credentials);
    CHECK(world.route("/api/users/me").access.kind == Access::Kind::signed_in);
    CHECK(world.route("/api/users/logout").access.kind == Access::Kind::signed_in);
    const auto& import = world.route("/api/users/import");
    CHECK(import.access.name == "users:import");
    CHECK(import.rate_class == RateClass::import_);
    CHECK(import.max_body_bytes > 500 * 4096);
    for (const auto& route : world.routes)
        if (route.method == http::Method::post && route.pattern != "/api/users/logout")
            CHECK(json::schema_of(route.decoder_).contains("properties"));
}
