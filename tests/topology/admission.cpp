// Who gets in: every public route for every kind of caller, tokens that are none, surfaces that are
// not public, keys that are asked for, limits. Through the binary. The expectations are written
// down here, the routes come from /openapi.json: a route without a line fails.
#include "security/tokens.hpp"
#include "souk/json.hpp"
#include "support/process.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <filesystem>
#include <map>
#include <set>

using namespace souk;
using test::Caller;
using test::exchange_raw;
using test::faults_of_problem;
using test::Operation;
using test::raw_post;
using test::StagedShop;

namespace {

constexpr std::array<std::string_view, 6> kinds{
    "nobody", "owner", "other", "staff", "importer", "admin"};
using Statuses = std::array<int, kinds.size()>;

/// The answer to each of `kinds`. {id} is a product, or the owner's paid order or payment.
const std::map<std::string, Statuses> expected = {
    {"GET /health", {200, 200, 200, 200, 200, 200}},
    {"GET /health/live", {200, 200, 200, 200, 200, 200}},
    {"GET /health/ready", {200, 200, 200, 200, 200, 200}},
    {"GET /openapi.json", {200, 200, 200, 200, 200, 200}},
    {"POST /api/users/register", {201, 201, 201, 201, 201, 201}},
    {"POST /api/users/login", {200, 200, 200, 200, 200, 200}},
    {"POST /api/users/refresh", {200, 200, 200, 200, 200, 200}},
    {"POST /api/users/logout", {401, 204, 204, 204, 204, 204}},
    {"GET /api/users/me", {401, 200, 200, 200, 200, 200}},
    {"POST /api/users/import", {401, 403, 403, 403, 200, 200}},
    {"GET /api/products", {200, 200, 200, 200, 200, 200}},
    {"GET /api/products/{id}", {200, 200, 200, 200, 200, 200}},
    {"POST /api/products", {401, 403, 403, 201, 403, 201}},
    {"PATCH /api/products/{id}", {401, 403, 403, 200, 403, 200}},
    {"POST /api/products/{id}/stock", {401, 403, 403, 200, 403, 200}},
    {"POST /api/products/import", {401, 403, 403, 403, 200, 200}},
    {"POST /api/orders", {401, 201, 201, 201, 201, 201}},
    {"GET /api/orders", {401, 200, 200, 200, 200, 200}},
    {"GET /api/orders/{id}", {401, 200, 404, 200, 404, 200}},
    {"POST /api/orders/{id}/cancel", {401, 409, 404, 404, 404, 404}},
    {"POST /api/orders/import", {401, 403, 403, 403, 201, 201}},
    {"GET /api/orders/import/summary", {401, 403, 403, 403, 200, 200}},
    {"GET /api/payments", {401, 200, 200, 200, 200, 200}},
    {"GET /api/payments/{id}", {401, 200, 404, 200, 404, 200}},
};

std::array<const Caller*, kinds.size()> callers_of(const StagedShop& shop) {
    return {nullptr, &shop.owner, &shop.other, &shop.staff, &shop.importer, &shop.admin};
}

json::value parse(const http::Response& response) {
    return json::parse(response.body).value();
}

std::string code_of(const http::Response& response) {
    return std::string(parse(response).at("code").as_string());
}

std::string body_for(StagedShop& shop, const Operation& operation) {
    return operation.body.empty() ? "" : json::serialize(shop.sample_body(operation));
}

void check_cell(StagedShop& shop, const Operation& operation, std::size_t kind, int status) {
    INFO(operation.name << " for " << kinds[kind]);
    const Caller* caller = callers_of(shop)[kind];
    Caller guest;
    if (operation.name == "POST /api/users/logout" && caller != nullptr) {
        guest = shop.sign_in(*caller);  // theirs is needed further on
        caller = &guest;
    }
    const auto response = shop.send(operation, caller, body_for(shop, operation));
    INFO(response.body);
    CHECK(response.status == status);
    if (response.status >= 400) CHECK(faults_of_problem(response, status) == "");
    if (status == 401) CHECK(response.headers.get("WWW-Authenticate") == "Bearer realm=\"souk\"");
}

/// What the document says must be what the table says.
void check_document(const Operation& operation, const Statuses& statuses) {
    INFO(operation.name);
    CHECK(operation.signed_in == (statuses[0] == 401));
    CHECK(operation.permission.empty() == (statuses[2] != 403));
}

/// A method that a path has not: 405 with those that it has, and HEAD is as guarded as GET.
void check_methods(StagedShop& shop, const Operation& operation) {
    INFO(operation.name);
    const std::string target = shop.target_of(operation);
    const auto port = shop.process().port();
    for (auto method : {http::Method::delete_, http::Method::put}) {
        const auto response = test::request(method, port, target, "", {});
        CHECK(faults_of_problem(response, 405) == "");
        CHECK(response.headers.has("Allow"));
    }
    if (operation.method != http::Method::get) return;
    const auto head = test::request(http::Method::head, port, target, "", {});
    CHECK(head.status == (operation.signed_in ? 401 : 200));
}

void check_others_payments(StagedShop& shop) {
    const Operation& list = shop.operation("GET /api/payments");
    const auto callers = callers_of(shop);
    for (std::size_t kind = 1; kind < kinds.size(); ++kind) {
        INFO(kinds[kind]);
        const auto answer = parse(shop.send(list, callers[kind], ""));
        const bool sees =
            kinds[kind] == "owner" || kinds[kind] == "staff" || kinds[kind] == "admin";
        CHECK(answer.at("data").as_array().size() == (sees ? 1 : 0));
    }
    // What is another's and what is nobody's look alike.
    http::Headers headers;
    headers.set("Authorization", "Bearer " + shop.other.access_token);
    json::value theirs = parse(shop.process().get("/api/orders/" + shop.order_id, headers));
    json::value nobodys =
        parse(shop.process().get("/api/orders/ord_00000000000000000000000000", headers));
    theirs.as_object().erase("request_id");
    nobodys.as_object().erase("request_id");
    CHECK(theirs == nobodys);
}

// ---- tokens

std::string base64url(std::string_view bytes) {
    std::string out(
        sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0'
    );
    sodium_bin2base64(
        out.data(),
        out.size(),
        reinterpret_cast<const unsigned char*>(bytes.data()),
        bytes.size(),
        sodium_base64_VARIANT_URLSAFE_NO_PADDING
    );
    out.pop_back();
    return out;
}

security::SigningKeyPair key_of(StagedShop& shop) {
    const auto file = shop.process().files("user") / "signing.key";
    if (!std::filesystem::exists(file)) throw std::runtime_error("the shop has no signing key");
    return security::SigningKeyPair::load_or_create(file).value();
}

/// Claims with which the token is good; a test spoils one.
json::object good_claims(const Caller& caller) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    json::object claims;
    claims["iss"] = security::issuer_name;
    claims["aud"] = security::access_audience;
    claims["sub"] = caller.id;
    claims["sid"] = "ses_00000000000000000000000000";
    claims["roles"] = json::array{json::value("admin")};
    claims["iat"] = seconds - 10;
    claims["exp"] = seconds + 300;
    return claims;
}

std::string signed_token(
    const security::SigningKeyPair& key, const std::string& header, const std::string& payload
) {
    const std::string text = base64url(header) + "." + base64url(payload);
    return text + "." + base64url(key.sign(text));
}

std::string header_of(const security::SigningKeyPair& key, std::string_view more = "") {
    return fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"at+jwt"{}}})", key.kid(), more);
}

using Forgeries = std::vector<std::pair<std::string, std::string>>;  // name, token

/// Signed well, with one claim that must not be.
Forgeries with_bad_claims(const security::SigningKeyPair& key, const Caller& caller) {
    const auto now = good_claims(caller).at("iat").as_int64();
    Forgeries out;
    const auto with = [&](const char* name, const char* claim, json::value v) {
        json::object claims = good_claims(caller);
        claims[claim] = std::move(v);
        const auto token = signed_token(key, header_of(key), json::serialize(claims));
        out.emplace_back(fmt::format("{} {}", name, claim), token);
    };
    const auto without = [&](const char* claim) {
        json::object claims = good_claims(caller);
        claims.erase(claim);
        const auto token = signed_token(key, header_of(key), json::serialize(claims));
        out.emplace_back(fmt::format("no {}", claim), token);
    };
    with("past", "exp", now - 3600);
    with("text as", "exp", "9999999999");
    with("fraction as", "exp", 1e10);
    with("future", "iat", now + 3600);
    with("future", "nbf", now + 3600);
    with("another", "iss", "elsewhere");
    with("internal", "aud", "souk-internal");
    with("a list as", "aud", json::array{json::value("souk")});
    with("text as", "roles", "admin");
    for (const char* claim : {"iss", "aud", "sub", "sid", "roles", "iat", "exp"})
        without(claim);
    std::string twice = json::serialize(good_claims(caller));
    twice.insert(twice.size() - 1, R"(,"sub":"usr_00000000000000000000000000")");
    out.emplace_back("duplicate sub", signed_token(key, header_of(key), twice));
    return out;
}

/// Whose header or signature is not ours.
Forgeries with_bad_seal(const security::SigningKeyPair& key, const Caller& caller) {
    const std::string claims = json::serialize(good_claims(caller));
    const std::string good = signed_token(key, header_of(key), claims);
    const auto dot = good.rfind('.');
    std::string flipped = good;
    flipped[good.find('.') + 5] ^= 1;
    std::array<unsigned char, crypto_auth_hmacsha256_BYTES> mac{};
    const std::string hs256 =
        base64url(fmt::format(R"({{"alg":"HS256","kid":"{}","typ":"at+jwt"}})", key.kid())) + "." +
        base64url(claims);
    const std::string public_key = key.public_key();
    crypto_auth_hmacsha256(
        mac.data(),
        reinterpret_cast<const unsigned char*>(hs256.data()),
        hs256.size(),
        reinterpret_cast<const unsigned char*>(public_key.data())
    );
    const std::string_view mac_text(reinterpret_cast<const char*>(mac.data()), mac.size());
    const auto none = [&](const char* alg) {
        return base64url(fmt::format(R"({{"alg":"{}","typ":"at+jwt"}})", alg)) + "." +
               base64url(claims) + ".";
    };
    const auto header = [&](const std::string& text) { return signed_token(key, text, claims); };
    const auto stranger = security::SigningKeyPair::generate();
    return {
        {"alg none", none("none")},
        {"alg None", none("None")},
        {"alg none with our signature", header(R"({"alg":"none","typ":"at+jwt"})")},
        {"HS256 with the public key", hs256 + "." + base64url(mac_text)},
        {"no signature", good.substr(0, dot + 1)},
        {"no third part", good.substr(0, dot)},
        {"cut signature", good.substr(0, good.size() - 4)},
        {"longer signature", good + "AAAA"},
        {"padded signature", good + "=="},
        {"four parts", good + ".AAAA"},
        {"changed payload", flipped},
        {"a stranger's key", signed_token(stranger, header_of(stranger), claims)},
        {"a stranger's key under our kid", signed_token(stranger, header_of(key), claims)},
        {"kid as path", header(R"({"alg":"EdDSA","kid":"../../dev/null","typ":"at+jwt"})")},
        {"kid as SQL", header(R"({"alg":"EdDSA","kid":"' OR '1'='1","typ":"at+jwt"})")},
        {"jku", header(header_of(key, R"(,"jku":"http://127.0.0.1:1/keys")"))},
        {"x5u", header(header_of(key, R"(,"x5u":"http://127.0.0.1:1/cert")"))},
        {"jwk", header(header_of(key, R"(,"jwk":{"kty":"OKP"})"))},
        {"crit", header(header_of(key, R"(,"crit":["exp"])"))},
        {"another typ", header(fmt::format(R"({{"alg":"EdDSA","kid":"{}"}})", key.kid()))},
        {"5 KiB", good + std::string(5 * 1024, 'A')},
        {"dots", ".."},
        {"nothing", ""},
    };
}

/// The answer without what must differ from one request to the next.
std::string comparable(http::Response response) {
    json::value body = parse(response);
    body.as_object().erase("request_id");
    return fmt::format(
        "{} {} {} {}",
        response.status,
        response.content_type,
        response.headers.get("WWW-Authenticate"),
        json::serialize(body)
    );
}

/// A Catch2 main has not initialised what the forging needs.
const int sodium_ready = sodium_init();

}  // namespace

TEST_CASE("each route lets in whom it should, and nobody else") {
    StagedShop shop;
    std::set<std::string> seen;
    for (const Operation& operation : shop.operations()) {
        INFO(operation.name << " has no line in the table");
        const auto line = expected.find(operation.name);
        CHECK(line != expected.end());
        if (line == expected.end()) continue;
        seen.insert(operation.name);
        check_document(operation, line->second);
        check_methods(shop, operation);
        for (std::size_t kind = 0; kind < kinds.size(); ++kind)
            check_cell(shop, operation, kind, line->second[kind]);
    }
    CHECK(seen.size() == expected.size());
    check_others_payments(shop);
    CHECK(shop.faults_after_attacks() == "");
}

TEST_CASE("a bad token gets one answer, whatever is wrong with it") {
    REQUIRE(sodium_ready >= 0);
    StagedShop shop;
    const auto key = key_of(shop);
    const auto ask = [&](const std::string& authorization, const char* target) {
        http::Headers headers;
        headers.set("Authorization", authorization);
        return shop.process().get(target, headers);
    };
    const std::string good =
        signed_token(key, header_of(key), json::serialize(good_claims(shop.owner)));
    REQUIRE(ask("Bearer " + good, "/api/users/me").status == 200);  // or the rest proves nothing
    REQUIRE(ask("bearer " + good, "/api/users/me").status == 200);

    Forgeries all = with_bad_claims(key, shop.owner);
    for (auto& forgery : with_bad_seal(key, shop.owner))
        all.push_back(std::move(forgery));
    all.emplace_back("a refresh token", shop.owner.refresh_token);
    const std::string first = comparable(ask("Bearer x", "/api/users/me"));
    CHECK_THAT(
        first,
        Catch::StartsWith(
            "401 application/problem+json Bearer realm=\"souk\", error=\"invalid_token\""
        )
    );
    for (const auto& [name, token] : all) {
        INFO(name);
        const auto response = ask("Bearer " + token, "/api/users/me");
        CHECK(faults_of_problem(response, 401) == "");
        CHECK(comparable(response) == first);
        CHECK(ask("Bearer " + token, "/api/products").status == 401);  // even where none is needed
    }
    const std::vector<std::string> schemes{
        "Basic b3duZXI6cGFzc3dvcmQ=", good, "Bearer", "Bearer  " + good, "Token " + good};
    for (const std::string& scheme : schemes) {
        INFO(scheme);
        CHECK(comparable(ask(scheme, "/api/users/me")) == first);
    }
    CHECK(ask("Bearer " + std::string(16 * 1024, 'A'), "/api/users/me").status == 431);
    const std::string line = "Authorization: Bearer " + good;
    CHECK_THAT(
        exchange_raw(shop.process().port(), raw_post("/api/users/logout", {line, line}, "")),
        Catch::StartsWith("HTTP/1.1 400")
    );
    shop.keep_secret(good);
    shop.keep_secret(good.substr(good.rfind('.')));
    CHECK(shop.faults_after_attacks() == "");
}

TEST_CASE("internal routes and metrics are not on the public listener, whoever asks") {
    StagedShop shop;
    http::Headers headers;
    headers.set("Authorization", "Bearer " + shop.admin.access_token);
    const std::vector<std::string> targets{
        "/internal",
        "/internal/user/audit",
        "/internal/user/accounts",
        "/internal/product/audit",
        "/internal/order/audit",
        "/internal/payment/audit",
        "/internal/notification/audit",
        "/metrics",
        "/debug/pprof/",
        "/admin",
        "/.env",
        "/.git/config",
        "/api/../internal/user/audit",
        "/api/%2e%2e/internal/user/audit",
        "//internal/user/audit",
        "/internal//user/audit",
        "/INTERNAL/user/audit",
        "/internal/user/audit/",
        "/internal;/user/audit",
        "/api/internal/user/audit"};
    for (const std::string& target : targets) {
        INFO(target);
        const int status =
            target.find("..") != std::string::npos || target.find("%2e") != std::string::npos ? 400
                                                                                              : 404;
        CHECK(faults_of_problem(shop.process().get(target, headers), status) == "");
        CHECK(faults_of_problem(shop.process().post(target, "{}", headers), status) == "");
    }
    for (const auto& [name, value] : shop.process().get("/api/products").headers) {
        CHECK(name != "Server");  // no version, nothing to aim at
        CHECK(name != "X-Powered-By");
    }
    CHECK(shop.process().get_metrics("/metrics").status == 200);
    CHECK(shop.process().get_metrics("/api/products").status == 404);
}

TEST_CASE("an Idempotency-Key is asked for where a repeat would do harm") {
    const std::set<std::string> wanted{
        "POST /api/orders",
        "POST /api/orders/{id}/cancel",
        "POST /api/orders/import",
        "POST /api/products/{id}/stock"};
    StagedShop shop;
    std::set<std::string> found;
    for (const Operation& operation : shop.operations()) {
        if (!operation.requires_key) continue;
        found.insert(operation.name);
        INFO(operation.name);
        const Caller* caller = shop.caller_for(operation);
        const std::string body = body_for(shop, operation);
        const auto send = [&](const std::optional<std::string>& key) {
            http::Headers headers;
            headers.set("Authorization", "Bearer " + caller->access_token);
            if (key) headers.set("Idempotency-Key", *key);
            return shop.process().post(shop.target_of(operation), body, headers);
        };
        const auto missing = send(std::nullopt);
        CHECK(faults_of_problem(missing, 400) == "");
        CHECK(code_of(missing) == "idempotency_key_missing");
        const std::vector<std::string> bad{
            "", "two words", "a\tb", std::string(256, 'k'), std::string("caf\xc3\xa9")};
        for (const std::string& key : bad) {
            INFO("key: " << key);
            const auto response = send(key);
            CHECK(faults_of_problem(response, 400) == "");
            CHECK(code_of(response) == "idempotency_key_invalid");
        }
        const std::string twice = exchange_raw(
            shop.process().port(),
            raw_post(
                shop.target_of(operation),
                {"Authorization: Bearer " + caller->access_token,
                 "Idempotency-Key: one",
                 "Idempotency-Key: two",
                 "Content-Type: application/json",
                 fmt::format("Content-Length: {}", body.size())},
                body
            )
        );
        CHECK_THAT(twice, Catch::StartsWith("HTTP/1.1 400"));
        CHECK(send(std::string(255, 'k')).status < 410);  // the longest is one: 2xx, or 409 below
    }
    CHECK(found == wanted);
    CHECK(shop.faults_after_attacks() == "");
}

TEST_CASE("too many attempts to sign in are told to wait, and nobody else is") {
    test::SoukProcess shop({"--set", "gateway.credentials_per_minute=5"});
    shop.start();
    const auto attempt = [&](const char* path, const char* forwarded) {
        http::Headers headers;
        headers.set("X-Forwarded-For", forwarded);
        return shop.post(path, "{}", headers);  // what is refused counts as well
    };
    for (int left = 4; left >= 0; --left) {
        const auto response = attempt("/api/users/login", "192.0.2.1");
        CHECK(response.status == 400);
        CHECK(response.headers.get("RateLimit-Policy") == "\"credentials\";q=5;w=60");
        CHECK_THAT(
            std::string(response.headers.get("RateLimit")),
            Catch::StartsWith(fmt::format("\"credentials\";r={}", left))
        );
    }
    // One quota for all ways to present credentials, and no header buys another.
    for (const char* path : {"/api/users/login", "/api/users/register", "/api/users/refresh"}) {
        INFO(path);
        const auto response = attempt(path, "198.51.100.7");
        CHECK(faults_of_problem(response, 429) == "");
        CHECK(code_of(response) == "rate_limited");
        CHECK(parse(response).at("retryable").as_bool());
        const int wait = std::stoi("0" + std::string(response.headers.get("Retry-After")));
        CHECK(wait >= 1);
        CHECK(wait <= 60);
        CHECK_THAT(
            std::string(response.headers.get("RateLimit")),
            Catch::StartsWith("\"credentials\";r=0;t=")
        );
    }
    CHECK(shop.get("/api/products").status == 200);
    CHECK(shop.get("/health/ready").status == 200);
}
