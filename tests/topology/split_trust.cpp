// Whom the processes of a split shop believe: the gateway's signature and the certificates of
// their own authority, and nothing that a customer, a stranger or a wrong peer can send.
#include "base/system_clock.hpp"
#include "peers/peer_edge.hpp"
#include "security/tokens.hpp"
#include "souk/id.hpp"
#include "support/hostile_peer.hpp"
#include "support/services.hpp"
#include "support/shop.hpp"
#include "support/split_shop.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <fstream>

using namespace souk;
using namespace souk::test;

namespace {

constexpr std::string_view admin_id = "usr_00000000000000000000000000";

security::SigningKeyPair gateway_key() {
    return security::SigningKeyPair::load_or_create(dev_certificates() / "identity.key").value();
}

Timestamp now() {
    return base::system_clock().now();
}

std::string internal_token(
    const security::SigningKeyPair& key, const std::string& role, Timestamp at = now()
) {
    const Identity identity(std::string(admin_id), {role}, make_id("ses", at));
    return security::issue_internal_token(key, identity, at);
}

http::Headers with(std::string_view name, const std::string& value) {
    http::Headers out;
    out.set(name, value);
    return out;
}

/// Another authority's, with the same names.
const std::filesystem::path& strangers() {
    static const TempFolder folder;
    static const std::filesystem::path certificates = [] {
        const auto path = folder.path() / "certs";
        if (run_souk({"dev-certs", path.string()}).code != 0)
            throw std::runtime_error("souk dev-certs");
        return path;
    }();
    return certificates;
}

int status_of(const Result<http::Response>& answer) {
    return answer ? answer->status : 0;
}

const std::string nobody = R"({"order_id":"ord_00000000000000000000000000"})";

}  // namespace

TEST_CASE("what a customer says of who they are is not heard", "[.split]") {
    Shop shop(InParts{}, {});
    shop.start();
    const std::string customer = shop.token(shop.add_customers(1).front());
    const std::string forged = internal_token(gateway_key(), "admin");  // as good as it gets
    const char* article = R"({"sku":"X","name":"X","currency":"GBP","unit_amount":1,"stock":1})";

    for (const char* name : {"Souk-Identity", "souk-identity", "SOUK-IDENTITY"}) {
        INFO(name);
        CHECK(shop.process().get("/api/users/me", with(name, forged)).status == 401);
        CHECK(shop.process().get("/api/orders", with(name, forged)).status == 401);
        CHECK(shop.process().post("/api/products", article, with(name, forged)).status == 401);
        http::Headers headers = Shop::headers(customer);
        headers.set(name, forged);
        CHECK(shop.process().post("/api/products", article, headers).status == 403);
        const json::value me = parse(shop.process().get("/api/users/me", headers));
        CHECK(me.at("role").as_string() == "customer");
        CHECK(me.at("id").as_string() != admin_id);
    }
    // Nor what else processes tell each other.
    http::Headers headers = with("Souk-Deadline-Ms", "0");
    headers.set("Souk-Operator", "1");
    headers.set("Souk-Peer-Key", "x");
    headers.set("Souk-Admitted", "1");
    const auto answer = shop.process().get("/api/products", headers);
    CHECK(answer.status == 200);
    for (const auto& [name, value] : answer.headers)
        CHECK_FALSE(name.starts_with("Souk-"));
}

TEST_CASE(
    "an internal listener believes the gateway's signature, and only while it holds", "[.split]"
) {
    Shop shop(InParts{}, {});
    shop.start();
    const auto gateway = certificate_of(dev_certificates(), "gateway");
    const std::uint16_t order = shop.parts().internal_port("order");
    const auto ask = [&](const std::string& token) {
        return call_peer(
            gateway, order, http::Method::get, "/api/orders", {}, with("Souk-Identity", token)
        );
    };
    const auto key = gateway_key();
    REQUIRE(status_of(ask(internal_token(key, "customer"))) == 200);  // or the rest proves nothing

    const std::string good = internal_token(key, "customer");
    std::string changed = good;
    changed[good.find('.') + 8] ^= 1;
    std::string resealed = good;
    resealed[good.rfind('.') + 8] ^= 1;
    const auto stranger = security::SigningKeyPair::generate();
    const std::pair<const char*, std::string> bad[] = {
        {"expired", internal_token(key, "admin", now() - seconds(120))},
        {"of the future", internal_token(key, "admin", now() + seconds(120))},
        {"of another key", internal_token(stranger, "admin")},
        {"with other claims", changed},
        {"with another seal", resealed},
        {"cut", good.substr(0, good.rfind('.') + 1)},
        {"a customer's own", shop.token("usr_1", "admin")},
        {"nothing", ""},
        {"nonsense", "admin"}};
    for (const auto& [name, token] : bad) {
        INFO(name);
        const auto answer = ask(token);
        CHECK(status_of(answer) == 401);
        if (answer) CHECK(faults_of_problem(*answer, 401) == "");
    }
    // Two of them are none.
    http::Headers twice = with("Souk-Identity", good);
    twice.add("Souk-Identity", good);
    CHECK(status_of(call_peer(gateway, order, http::Method::get, "/api/orders", {}, twice)) == 401);
    // A bearer token is for the gateway.
    const auto bearer = Shop::headers(shop.admin_token());
    CHECK(
        status_of(call_peer(gateway, order, http::Method::get, "/api/orders", {}, bearer)) == 401
    );
}

TEST_CASE("an internal listener talks to its own peers alone", "[.split]") {
    Shop shop(InParts{}, {});
    shop.start();
    const std::uint16_t product = shop.parts().internal_port("product");
    const std::uint16_t payment = shop.parts().internal_port("payment");
    const std::string call = "/internal/product/api/release";
    const auto ask = [&](const http::TlsFiles& files, std::uint16_t port, const std::string& target
                     ) { return call_peer(files, port, http::Method::post, target, nobody); };
    REQUIRE(status_of(ask(certificate_of(dev_certificates(), "order"), product, call)) < 300);

    {
        INFO("nobody without a certificate");
        const std::string bytes = raw_post(
            call,
            {"Content-Type: application/json", fmt::format("Content-Length: {}", nobody.size())},
            nobody
        );
        CHECK(exchange_without_certificate(product, bytes) == "");
        CHECK(exchange_raw(product, bytes).find("HTTP/1.1 2") == std::string::npos);
    }
    {
        INFO("nobody of another authority");
        http::TlsFiles stranger = certificate_of(strangers(), "order");
        stranger.ca = dev_certificates() / "ca.crt";  // it believes us
        CHECK(status_of(ask(stranger, product, call)) == 0);
    }
    {
        INFO("no module that does not call there");
        for (const char* role : {"user", "payment", "notification"}) {
            INFO(role);
            const auto answer = ask(certificate_of(dev_certificates(), role), product, call);
            CHECK(status_of(answer) == 403);
            CHECK(answer->body.find("peer_refused") != std::string::npos);
        }
        const auto files = certificate_of(dev_certificates(), "notification");
        CHECK(status_of(ask(files, payment, "/internal/payment/api/void_order")) == 403);
    }
    {
        INFO("the operator's routes are the operator's");
        const auto audit = [&](const char* role) {
            return status_of(call_peer(
                certificate_of(dev_certificates(), role),
                product,
                http::Method::get,
                "/internal/product/audit"
            ));
        };
        CHECK(audit("operator") == 200);
        CHECK(audit("gateway") == 403);
        CHECK(audit("order") == 403);
    }
    {
        INFO("no module may act for a customer without the gateway's word");
        const auto files = certificate_of(dev_certificates(), "order");
        const char* article =
            R"({"sku":"X","name":"X","currency":"GBP","unit_amount":1,"stock":1})";
        http::Headers headers = with("Souk-Operator", "1");
        const auto answer =
            call_peer(files, product, http::Method::post, "/api/products", article, headers);
        CHECK(status_of(answer) == 401);
    }
}

TEST_CASE("in development a shared key does it, and no other", "[.split]") {
    const TempFolder folder;
    const std::string file = (folder.path() / "peers.key").string();
    Environment stack = Services::shared().fresh_shop();
    stack.emplace_back("SOUK__INTERNAL__SHARED_KEY_FILE", file);
    stack.emplace_back(
        "SOUK__INTERNAL__IDENTITY_PUBLIC_FILE", (dev_certificates() / "identity.pub").string()
    );
    const ReservedPort port;
    SoukProcess user(
        stack, {"--modules=user", "--set", fmt::format("internal.port={}", port.number())}
    );
    user.start();
    // As the next process would read it.
    const std::string key = peers::load_peer_key(file).value();
    const auto ask = [&](http::Headers headers) {
        headers.set("Souk-Operator", "1");
        return test::request(http::Method::get, port.number(), "/internal/user/audit", {}, headers)
            .status;
    };
    CHECK(ask(with("Souk-Peer-Key", key)) == 200);
    CHECK(ask({}) == 401);
    CHECK(ask(with("Souk-Peer-Key", "")) == 401);
    CHECK(ask(with("Souk-Peer-Key", key.substr(1))) == 401);
    CHECK(ask(with("Souk-Peer-Key", key + "A")) == 401);
    CHECK(user.log().find(key) == std::string::npos);
}

TEST_CASE("no public port has an internal route, and a module's has no API", "[.split]") {
    Shop shop(InParts{}, {});
    shop.start();
    for (const std::string_view role : roles) {
        SoukProcess& process = shop.parts().process(role);
        for (const char* target :
             {"/internal/product/audit",
              "/internal/user/api/find",
              "/internal/order/api/find",
              "/internal/",
              "/internal",
              "//internal/user/audit",
              "/api/%2e%2e/internal/user/audit"}) {
            INFO(role << " " << target);
            for (const int status :
                 {process.get(target, Shop::headers(shop.admin_token())).status,
                  process.post(target, "{}", with("Souk-Identity", "x")).status,
                  process.get_metrics(target).status})
                CHECK((status == 404 || status == 400));
        }
        if (role == "gateway") continue;
        INFO(role);
        const auto refused = process.get("/api/products", Shop::headers(shop.admin_token()));
        CHECK(refused.status >= 400);
        CHECK(refused.status < 500);
        CHECK(process.get("/health/ready").status == 200);
    }
}
