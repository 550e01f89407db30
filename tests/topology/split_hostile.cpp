// A peer that does not keep to the rules: it hangs up, is silent, talks nonsense, says half of it,
// or never ends. Whoever asked gets a clear refusal within the deadline, seen through the gateway
// and from module to module, and everybody else is served as before.
#include "support/hostile_peer.hpp"
#include "support/services.hpp"
#include "support/shop.hpp"
#include "support/split_shop.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

using namespace souk;
using namespace souk::test;

namespace {

struct Behaviour {
    const char* name;
    Manner manner;
};

constexpr std::chrono::seconds breaker_limit{20};

constexpr std::array behaviours = {
    Behaviour{"hangs up", Manner::hangs_up},
    Behaviour{"never greets", Manner::never_greets},
    Behaviour{"speaks plainly", Manner::speaks_plainly},
    Behaviour{"never answers", Manner::never_answers},
    Behaviour{"talks nonsense", Manner::talks_nonsense},
    Behaviour{"answers nonsense", Manner::answers_nonsense},
    Behaviour{"stops half-way", Manner::stops_half_way},
    Behaviour{"hangs up half-way", Manner::hangs_up_half_way},
    Behaviour{"has an endless head", Manner::endless_head},
    Behaviour{"has an endless body", Manner::endless_body},
    Behaviour{"drips", Manner::drips}};

std::string key_of(const Behaviour& behaviour) {
    return fmt::format("key-{}", static_cast<int>(behaviour.manner));
}

void check_refusal(const http::Response& answer) {
    INFO(answer.status << " " << answer.body);
    CHECK((answer.status == 503 || answer.status == 504));
    CHECK(faults_of_problem(answer, answer.status) == "");
    const json::value problem = parse(answer);
    CHECK(problem.at("retryable").as_bool());
    if (answer.status == 503) CHECK(answer.headers.has("Retry-After"));
}

/// What `ask` answers, with a note of how long it took. It has a patience of its own, of twice the
/// longest deadline: past it an exception ends the test.
template <class Ask>
auto timed(std::map<std::string, milliseconds>& times, const char* name, Ask ask) {
    const auto begin = std::chrono::steady_clock::now();
    auto answer = ask();
    milliseconds& longest = times[name];
    longest = std::max(
        longest, std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin)
    );
    return answer;
}

std::string told(const std::map<std::string, milliseconds>& times) {
    std::string out;
    for (const auto& [name, time] : times)
        out += fmt::format(" {} {};", name, time.count());
    return out;
}

constexpr const char* browse =
    "GET /api/products HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A clear refusal; or, when the answer had begun, one that nobody takes for whole.
bool is_refused_or_cut(const std::string& bytes, Manner manner) {
    for (const char* status : {"HTTP/1.1 502", "HTTP/1.1 503", "HTTP/1.1 504"})
        if (bytes.starts_with(status))
            return bytes.find("application/problem+json") != std::string::npos;
    if (!bytes.starts_with("HTTP/1.1 200")) return false;
    // HTTP that the module is entitled to say; only the customer can tell that it is no JSON.
    if (manner == Manner::answers_nonsense) return bytes.ends_with("<html>\"{[");
    const auto body = bytes.find("\r\n\r\n") + 4;
    return bytes.find("Content-Length: 1000\r\n") != std::string::npos &&
           bytes.size() - body < 1000;
}

std::string head_of(const std::string& request) {
    return request.substr(0, request.find("\r\n\r\n") + 2);
}

std::size_t count_fields(const std::string& head, std::string_view name) {
    std::size_t count = 0;
    for (std::size_t at = head.find("\r\n"); at != std::string::npos;
         at = head.find("\r\n", at + 2)) {
        const std::string_view line = std::string_view(head).substr(at + 2, name.size() + 1);
        if (line.size() <= name.size() || line.back() != ':') continue;
        count += std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) ==
                   std::tolower(static_cast<unsigned char>(b));
        });
    }
    return count;
}

}  // namespace

TEST_CASE(
    "a peer that misbehaves towards a module: refused in time, and only what needs it", "[.split]"
) {
    HostilePeer hostile(certificate_of(dev_certificates(), "product"), Manner::is_polite);
    Shop shop(InParts{}, {});
    shop.parts().set_environment("order", {{"SOUK__PEERS__PRODUCT", hostile.address()}});
    shop.start();
    const std::string product = shop.add_products({Article("CUP", 100, "1250")}).at("CUP");
    const std::string customer = shop.token(shop.add_customers(1).front());
    std::map<std::string, milliseconds> times;
    for (const Behaviour& behaviour : behaviours) {
        INFO(behaviour.name);
        hostile.behave(behaviour.manner);
        // The breaker lets a call through now and then; what it refuses is refused as clearly.
        const int before = hostile.connections();
        REQUIRE(eventually(breaker_limit, [&] {
            check_refusal(timed(times, behaviour.name, [&] {
                return shop.place(customer, key_of(behaviour), Wish(product, 1));
            }));
            return hostile.connections() > before;
        }));
        CHECK(shop.process().get("/api/products").status == 200);
        CHECK(shop.process().get("/api/orders", Shop::headers(customer)).status == 200);
        CHECK(shop.parts().process("order").get_metrics("/health/ready").status == 200);
    }
    CHECK(hostile.connections() > 0);
    WARN("an order, refused after at most ms (deadline 5000):" << told(times));

    // It was the peer's fault, and it heals: the same keys, taken at the first try.
    shop.parts().set_environment("order", {});
    shop.parts().process("order").stop();
    shop.parts().process("order").start();
    for (const Behaviour& behaviour : behaviours) {
        http::Response answer;
        CHECK(eventually(std::chrono::seconds(20), [&] {
            answer = shop.place(customer, key_of(behaviour), Wish(product, 1));
            return answer.status == 201;
        }));
        INFO(behaviour.name << answer.body);
        if (answer.status == 201)
            shop.settled_order(customer, std::string(parse(answer).at("id").as_string()));
    }
    CHECK(faults_of(shop.verify()) == "");
    CHECK(shop.stock(product) == 100 - static_cast<std::int64_t>(behaviours.size()));
}

TEST_CASE(
    "a peer that misbehaves behind the gateway: refused in time, and only its routes", "[.split]"
) {
    HostilePeer hostile(certificate_of(dev_certificates(), "product"), Manner::is_polite);
    Shop shop(InParts{}, {});
    shop.parts().set_environment("gateway", {{"SOUK__PEERS__PRODUCT", hostile.address()}});
    shop.start();
    const std::string customer = shop.token(shop.add_customers(1).front());
    std::map<std::string, milliseconds> times;
    for (const Behaviour& behaviour : behaviours) {
        INFO(behaviour.name);
        hostile.behave(behaviour.manner);
        const int before = hostile.connections();
        REQUIRE(eventually(breaker_limit, [&] {
            const std::string bytes = timed(times, behaviour.name, [&] {
                return exchange_raw(shop.process().port(), browse);
            });
            INFO(bytes.substr(0, 600));
            CHECK(is_refused_or_cut(bytes, behaviour.manner));
            return hostile.connections() > before;
        }));
        CHECK(shop.process().get("/api/orders", Shop::headers(customer)).status == 200);
        CHECK(
            shop.process()
                .get(
                    "/api/payments?order_id=ord_00000000000000000000000000", Shop::headers(customer)
                )
                .status == 200
        );
        CHECK(shop.process().get("/health/ready").status == 200);
    }
    WARN("a page of products, refused after at most ms (deadline 2000):" << told(times));
}

TEST_CASE("a peer of another authority is not asked anything", "[.split]") {
    const TempFolder folder;
    REQUIRE(run_souk({"dev-certs", (folder.path() / "other").string()}).code == 0);
    HostilePeer hostile(certificate_of(folder.path() / "other", "product"), Manner::is_polite);
    Shop shop(InParts{}, {});
    shop.parts().set_environment("gateway", {{"SOUK__PEERS__PRODUCT", hostile.address()}});
    shop.start();
    check_refusal(shop.process().get("/api/products"));
    CHECK(hostile.connections() > 0);
    CHECK(hostile.requests().empty());
}

TEST_CASE("what the gateway passes on is its own word, not the customer's", "[.split]") {
    HostilePeer recorder(certificate_of(dev_certificates(), "product"), Manner::is_polite);
    recorder.answer(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        "ETag: \"7\"\r\nSouk-Admitted: 1\r\nSouk-Secret: x\r\nKeep-Alive: timeout=5\r\n"
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\n\r\n{}"
    );
    Shop shop(InParts{}, {});
    shop.parts().set_environment("gateway", {{"SOUK__PEERS__PRODUCT", recorder.address()}});
    shop.start();
    const std::string customer = shop.token("usr_00000000000000000000000001");
    const std::string sent = fmt::format(
        "GET /api/products?limit=3&q=a%20b HTTP/1.1\r\nHost: localhost\r\n"
        "Connection: close, Traceparent, X-Named, Souk-Deadline-Ms\r\n"
        "Authorization: Bearer {}\r\nX-Named: 1\r\nKeep-Alive: timeout=9\r\nTE: trailers\r\n"
        "Upgrade: websocket\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\n"
        "Souk-Identity: forged\r\nSouk-Operator: 1\r\nSouk-Peer-Key: x\r\nSouk-Deadline-Ms: 1\r\n"
        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-Ip: 192.0.2.1\r\n"
        "Accept-Language: de\r\nIf-None-Match: \"8\"\r\n\r\n",
        customer
    );
    const std::string answer = exchange_raw(shop.process().port(), sent);
    INFO(answer);
    CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 200"));
    CHECK_THAT(answer, Catch::Contains("ETag: \"7\"") && Catch::EndsWith("{}"));
    for (const char* name : {"Souk-Admitted", "Souk-Secret", "X-Hop", "Proxy-Authenticate"}) {
        INFO(name);
        CHECK(count_fields(answer, name) == 0);
    }

    REQUIRE(recorder.requests().size() == 1);
    const std::string head = head_of(recorder.requests().front());
    INFO(head);
    CHECK_THAT(head, Catch::StartsWith("GET /api/products?limit=3&q=a%20b HTTP/1.1\r\n"));
    for (const char* name :
         {"Souk-Identity", "Souk-Deadline-Ms", "Request-Id", "traceparent", "If-None-Match"}) {
        INFO(name);
        CHECK(count_fields(head, name) == 1);
    }
    for (const char* name :
         {"Authorization",
          "X-Named",
          "Keep-Alive",
          "TE",
          "Upgrade",
          "Proxy-Authorization",
          "Proxy-Connection",
          "Souk-Operator",
          "Souk-Peer-Key",
          "X-Real-Ip"}) {
        INFO(name);
        CHECK(count_fields(head, name) == 0);
    }
    CHECK(head.find("forged") == std::string::npos);
    CHECK(head.find("Souk-Deadline-Ms: 1\r\n") == std::string::npos);
    CHECK(head.find("192.0.2.1") == std::string::npos);
    CHECK(head.find(customer) == std::string::npos);
}
