// The operator's commands on the internal listener: by a certificate of their own, or by the shared
// key and a word; nobody else is the operator.
#include "support.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

using Shown = std::vector<std::string>;

http::Route route(std::string pattern, http::Access access) {
    return http::Route(
        http::Method::post,
        std::move(pattern),
        access,
        "For the test",
        [](const CallContext&, const http::Request&) -> Task<Result<http::Response>> {
            co_return http::Response::no_content();
        }
    );
}

PeerEdge edge(PeerCredential credential) {
    return PeerEdge(
        std::move(credential),
        security::InternalVerifier({gateway_key().public_key()}),
        base::system_clock()
    );
}

/// "admin", "peer", "nobody", or the code of the refusal.
std::string seen_as(
    PeerEdge& edge, const http::Route& route, http::Headers headers, const Shown* names = nullptr
) {
    http::Request request;
    request.headers = std::move(headers);
    http::Arrival arrival;
    arrival.peer_names = names;
    http::Headers answered;
    const auto caller = souk::test::run_task(edge.admit_arrival(route, request, arrival, answered));
    if (!caller) return caller.error().code;
    if (caller->subject.empty()) return "nobody";
    CHECK(caller->subject == "system");
    return caller->has_role("admin") ? "admin" : "peer";
}

http::Headers fields(std::initializer_list<std::pair<std::string_view, std::string_view>> list) {
    http::Headers out;
    for (const auto& [name, value] : list)
        out.add(name, value);
    return out;
}

const http::Route accounts = route("/internal/user/accounts", http::Access::everyone());
const http::Route call = route("/internal/user/api/find", http::Access::everyone());
const http::Route products = route("/api/products", http::Access::permission("products:write"));

}  // namespace

TEST_CASE("the operator's certificate may do everything, as on the control socket", "[operator]") {
    auto all = edge(PeerCredential::certificate({"gateway", "order", "operator"}));
    const Shown shown = GENERATE(
        as<Shown>{},
        Shown{"operator"},
        Shown{"operator.souk.svc"},
        Shown{"localhost", "operator", "operator-service"}
    );
    CHECK(seen_as(all, accounts, {}, &shown) == "admin");
    CHECK(seen_as(all, products, {}, &shown) == "admin");
    CHECK(seen_as(all, call, {}, &shown) == "admin");
}

TEST_CASE("no other certificate is the operator's, whatever it says", "[operator]") {
    auto all = edge(PeerCredential::certificate({"gateway", "order", "operator"}));
    const auto claims = fields({{"Souk-Operator", "1"}, {"Souk-Peer-Key", key}});
    const Shown shown = GENERATE(
        as<Shown>{},
        Shown{"order", "order-service", "localhost"},
        Shown{"gateway"},
        Shown{"order.operator"},
        Shown{"order", "operators"}
    );
    CHECK(seen_as(all, accounts, claims, &shown) == "operator_only");
    CHECK(seen_as(all, products, claims, &shown) == "unauthenticated");
    CHECK(seen_as(all, call, claims, &shown) == "peer");

    const Shown stranger = {"notification"};
    CHECK(seen_as(all, accounts, claims, &stranger) == "peer_refused");
    CHECK(seen_as(all, accounts, claims, nullptr) == "peer_refused");
    // Where the operator is not believed, its certificate beside another's name is nothing.
    auto few = edge(PeerCredential::certificate({"order"}));
    const Shown both = {"order", "operator"};
    CHECK(seen_as(few, accounts, {}, &both) == "operator_only");
}

TEST_CASE("with the shared key a word makes the operator", "[operator]") {
    auto shared = edge(PeerCredential::shared_key(key));
    const auto good = fields({{"Souk-Peer-Key", key}, {"Souk-Operator", "1"}});
    CHECK(seen_as(shared, accounts, good) == "admin");
    CHECK(seen_as(shared, products, good) == "admin");
    CHECK(seen_as(shared, accounts, fields({{"Souk-Operator", "1"}})) == "peer_refused");
    CHECK(
        seen_as(shared, accounts, fields({{"Souk-Peer-Key", "x"}, {"Souk-Operator", "1"}})) ==
        "peer_refused"
    );
    const auto half = GENERATE_COPY(
        as<http::Headers>{},
        fields({{"Souk-Peer-Key", key}}),
        fields({{"Souk-Peer-Key", key}, {"Souk-Operator", "true"}}),
        fields({{"Souk-Peer-Key", key}, {"Souk-Operator", ""}}),
        fields({{"Souk-Peer-Key", key}, {"Souk-Operator", "1"}, {"Souk-Operator", "1"}})
    );
    CHECK(seen_as(shared, accounts, half) == "operator_only");
    CHECK(seen_as(shared, products, half) == "unauthenticated");
    CHECK(seen_as(shared, call, half) == "peer");
}

TEST_CASE("who asks for somebody is that somebody, the operator as well", "[operator]") {
    auto shared = edge(PeerCredential::shared_key(key));
    const Identity customer("usr_1", {"customer"}, "ses_1");
    const auto token =
        security::issue_internal_token(gateway_key(), customer, base::system_clock().now());
    const auto both =
        fields({{"Souk-Peer-Key", key}, {"Souk-Operator", "1"}, {"Souk-Identity", token}});
    CHECK(seen_as(shared, products, both) == "forbidden");
    // A customer, whom the gateway vouches for, does not come to the operator's routes.
    const auto forwarded = fields({{"Souk-Peer-Key", key}, {"Souk-Identity", token}});
    CHECK(seen_as(shared, accounts, forwarded) == "operator_only");
}
