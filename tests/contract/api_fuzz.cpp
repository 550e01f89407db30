// Whatever a peer sends to the internal routes of an Api is refused in words or answered: never a
// 5xx, never an exception. Bodies are random JSON in the routes' own vocabulary, and texts that
// were valid before a few bytes changed; the seed is fixed, so a failure comes again.
#include "contract/api_world.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <regex>

using namespace souk;
using namespace souk::test;

namespace {

struct AllModules : Shop {
    AllModules()
        : users(
              *this,
              user::module(),
              {{"access_token_ttl", "10m"},
               {"refresh_token_ttl", "30d"},
               {"hash_threads", "1"},
               {"hash_queue", "2"}}
          )
        , products(*this, product::module(), {{"hold_alarm_age", "15m"}})
        , payments(
              *this,
              payment::module(),
              {{"provider", "simulated"}, {"workers", "8"}, {"step_timeout", "20s"}}
          )
        , orders(
              *this,
              order::module(),
              {{"currency", "GBP"},
               {"intent_lease", "30s"},
               {"payment_timeout", "15m"},
               {"sweep_every", "5s"}}
          ) {
        users.start();  // it has no signing key before
    }

    std::vector<const http::Route*> api_routes() const {
        std::vector<const http::Route*> found;
        for (const ModuleWorld* module : {&users, &products, &payments, &orders})
            for (const http::Route& route : module->routes())
                if (route.pattern.find("/api/") != 0 &&
                    route.pattern.find("/api/") != std::string::npos)
                    found.push_back(&route);
        return found;
    }

    /// The status of the answer to `body`; exceptions fail the test.
    int post(const http::Route& route, std::string body) {
        http::Request request;
        request.method = http::Method::post;
        request.body = std::move(body);
        const CallContext ctx(Deadline(clock, seconds(5)));
        const auto result = run(route.handler(ctx, request));
        return result ? result->status : http_status(result.error().kind);
    }

    ModuleWorld users;
    ModuleWorld products;
    ModuleWorld payments;
    ModuleWorld orders;
};

class Random {
public:
    std::size_t below(std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
    }
    template <class List>
    const auto& one_of(const List& list) {
        return list[below(std::size(list))];
    }

    json::value value(int depth) {
        switch (below(depth > 0 ? 9 : 6)) {
            case 0:
                return nullptr;
            case 1:
                return below(2) == 0;
            case 2:
                return one_of(integers);
            case 3:
                return one_of(doubles);
            case 4:
            case 5:
                return json::value(one_of(texts));
            case 6:
                return list(depth);
            default:
                return object(depth);
        }
    }

    json::object object(int depth) {
        json::object out;
        for (std::size_t n = below(5); n > 0; --n)
            out[one_of(names)] = value(depth - 1);
        return out;
    }

    /// Some bytes replaced, left out, doubled.
    std::string spoil(std::string text) {
        for (std::size_t n = 1 + below(4); n > 0 && !text.empty(); --n) {
            const std::size_t at = below(text.size());
            const std::size_t how = below(4);
            if (how == 0) text[at] = static_cast<char>(below(256));
            if (how == 1) text.erase(at, 1 + below(4));
            if (how == 2) text.insert(at, 1, one_of(std::string_view("{}[]\",:0-e\\")));
            if (how == 3) text.insert(at, text.substr(at, below(20)));
        }
        return text;
    }

private:
    json::array list(int depth) {
        json::array out;
        for (std::size_t n = below(4); n > 0; --n)
            out.push_back(value(depth - 1));
        return out;
    }

    static constexpr std::string_view names[] = {
        "order_id", "lines", "ids", "after", "product_id", "quantity", "base64", "", "__proto__"};
    static constexpr std::int64_t integers[] = {
        0,
        1,
        -1,
        1'000'000'000'000,
        std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()};
    static constexpr double doubles[] = {0.5, -0.0, 1e300, -1e-300};
    static constexpr std::string_view texts[] = {
        "",
        "ord_1",
        "AAA=",
        "/////w==",
        "AA",
        "'; DROP TABLE users; --",
        "%s%n",
        "\u20ac\u0308",
        "[\"a\"]"};
    std::mt19937_64 engine_{20261123};
};

// One for each method: what it takes.
constexpr std::string_view valid[] = {
    R"({"order_id":"ord_1","lines":[{"product_id":"prd_1","quantity":2}]})",
    R"({"ids":["usr_1",{"base64":"/wA="},"\u00e9\ud83d\ude00"]})",
    R"({"after":9223372036854775807})",
};

}  // namespace

TEST_CASE("api: no body whatsoever is answered with 5xx") {
    AllModules world;
    Random random;
    const auto routes = world.api_routes();
    REQUIRE(routes.size() == 7);
    std::map<int, int> seen;
    for (const http::Route* route : routes)
        for (int i = 0; i < 400; ++i) {
            std::string body;
            if (i % 2 == 0)
                body = json::serialize(random.object(5));
            else
                body = random.spoil(std::string(random.one_of(valid)));
            // PostgreSQL takes no text that is none, whoever sends it.
            if (on_postgres()) body = std::regex_replace(body, std::regex("base64"), "bytes");
            const int status = world.post(*route, body);
            ++seen[status];
            if (status != 200 && (status < 400 || status > 499))
                FAIL(route->pattern << ": " << body);
        }
    CHECK(seen[200] > 0);
    CHECK(seen[400] > seen[200]);
}

TEST_CASE("api: what is no object of its arguments is refused") {
    AllModules world;
    Random random;
    for (const http::Route* route : world.api_routes()) {
        CAPTURE(route->pattern);
        for (const char* body : {"", " ", "null", "[]", "0", "\"x\"", "{", "{}{}", "{\"a\":1e999}"})
            CHECK(world.post(*route, body) == 400);
        CHECK(world.post(*route, std::string(100, '[')) == 400);
        const bool takes_none = route->pattern == "/internal/user/api/signing_keys";
        CHECK(world.post(*route, "{}") == (takes_none ? 200 : 400));
    }
}
