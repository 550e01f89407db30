// What customers are shown from the cache, and that nothing is decided by it.
#include "app/catalogue_cache.hpp"

#include "app/reserve.hpp"
#include "http/routes.hpp"
#include "unit/product/support.hpp"

using namespace souk;
using namespace souk::test;

namespace {

/// The routes of the module over a cache that keeps, beside the world's own, which keeps nothing.
class CachedWorld : public ProductWorld {
public:
    CachedWorld()
        : rendered(kept, clock)
        , services(database(), clock, Logger("test"), &rendered)
        , routes(product::http_api::routes(services)) {}

    http::Response send(
        http::Method method,
        std::string_view pattern,
        std::string target,
        Identity caller = {},
        std::string body = {},
        http::Headers headers = {}
    ) {
        http::Request request;
        request.method = method;
        const auto mark = target.find('?');
        request.params.emplace_back("id", target.substr(0, mark));
        if (mark != std::string::npos) request.query = target.substr(mark + 1);
        request.body = std::move(body);
        request.headers = std::move(headers);
        const CallContext ctx(std::move(caller), Deadline(clock, seconds(5)), "req_1", {});
        for (const http::Route& route : routes)
            if (route.method == method && route.pattern == pattern) {
                auto result = run(route.handler(ctx, request));
                return result ? *result : http::Response::problem(result.error(), "req_1");
            }
        throw std::logic_error("no such route");
    }
    http::Response show(const std::string& id, Identity caller = {}, http::Headers headers = {}) {
        return send(
            http::Method::get, "/api/products/{id}", id, std::move(caller), {}, std::move(headers)
        );
    }
    json::object shown(const std::string& id, Identity caller = {}) {
        return json::parse(show(id, std::move(caller)).body).value().as_object();
    }
    json::array list(std::string query) {
        const auto page = send(http::Method::get, "/api/products", "?" + std::move(query));
        return json::parse(page.body).value().as_object().at("data").as_array();
    }
    void pass_time() { clock.advance(milliseconds(1200)); }

    std::unique_ptr<Cache> memory = cache::make_memory_cache(clock, 1 << 20);
    Cache& kept = *memory;
    product::app::CatalogueCache rendered;
    product::app::Services services;
    http::Routes routes;
};

http::Headers header(std::string_view name, std::string_view value) {
    http::Headers headers;
    headers.add(name, value);
    return headers;
}

constexpr const char* change = R"({"name":"B","price":{"amount":999,"currency":"GBP"}})";

}  // namespace

TEST_CASE("what staff change is shown to customers at once", "[catalogue_cache]") {
    CachedWorld world;
    const std::string id = world.add("A", 5);
    CHECK(world.shown(id).at("price").at("amount") == 255);
    CHECK(world.list("limit=20").size() == 1);
    CHECK(world.list("category=toys").size() == 1);

    const auto patched = world.send(
        http::Method::patch,
        "/api/products/{id}",
        id,
        admin(),
        change,
        header("If-Match", world.show(id).headers.get("ETag"))
    );
    REQUIRE(patched.status == 200);
    CHECK(world.shown(id).at("price").at("amount") == 999);
    CHECK(world.list("limit=20")[0].at("name") == "B");

    REQUIRE(
        world
            .send(
                http::Method::post,
                "/api/products/{id}/stock",
                id,
                admin(),
                R"({"delta":7})",
                header("Idempotency-Key", "k")
            )
            .status == 200
    );
    CHECK(world.shown(id).at("stock") == 12);
    CHECK(world.list("limit=20")[0].at("stock") == 12);

    const auto added = ProductWorld::new_product("B", 1);
    REQUIRE(world.send(http::Method::post, "/api/products", "", admin(), added).status == 201);
    CHECK(world.list("limit=20").size() == 2);
    const std::string imported =
        R"({"items":[{"sku":"A","name":"C","currency":"GBP","unit_amount_decimal":"5","stock":12}]})";
    REQUIRE(
        world.send(http::Method::post, "/api/products/import", "", admin(), imported).status == 200
    );
    CHECK(world.shown(id).at("name") == "C");
    CHECK(world.list("category=").size() == 2);
}

TEST_CASE("what orders take is shown within about a second", "[catalogue_cache]") {
    CachedWorld world;
    const std::string id = world.add("A", 5);
    CHECK(world.shown(id).at("stock") == 5);
    const std::string etag(world.show(id).headers.get("ETag"));
    REQUIRE(world.reserve("ord_1", Lines{{id, 2}}));
    CHECK(world.shown(id).at("stock") == 5);  // looked up a moment ago
    CHECK(world.shown(id, admin()).at("stock") == 3);
    CHECK(world.show(id, {}, header("If-None-Match", etag)).status == 304);
    world.pass_time();
    CHECK(world.shown(id).at("stock") == 3);
    CHECK(world.list("limit=20")[0].at("stock") == 3);
    CHECK(world.show(id, {}, header("If-None-Match", etag)).status == 200);
}

TEST_CASE("staff read the database, and never what is kept", "[catalogue_cache]") {
    CachedWorld world;
    const std::string id = world.add("A", 5);
    CHECK(world.shown(id).at("price").at("amount") == 255);
    REQUIRE(world.sql("UPDATE products SET price_micros = NULL, version = 2"));
    CHECK(world.show(id).status == 200);
    CHECK(world.shown(id, admin()).at("price").is_null());
    CHECK(world.show(id, admin()).headers.get("ETag") == "\"2-5\"");
    world.pass_time();
    CHECK(world.show(id).status == 404);
    // What staff saw unpublished is not what customers get.
    CHECK(world.show(id, admin()).status == 200);
    CHECK(world.show(id).status == 404);
}

TEST_CASE("a poisoned cache shows what it likes, and charges nothing", "[catalogue_cache]") {
    CachedWorld world;
    const std::string id = world.add("A", 5, 255);
    world.run(world.kept.put(
        "product:first:item:" + id,
        "\"1-999\"\n{\"price\":{\"amount\":1,\"currency\":\"GBP\"},\"stock\":999}",
        seconds(60)
    ));
    REQUIRE(world.shown(id).at("price").at("amount") == 1);
    REQUIRE(world.shown(id).at("stock") == 999);
    const auto reserve = [&](std::string order, std::int64_t quantity) {
        return world.run(product::app::reserve(
            world.services, std::move(order), Lines{{id, quantity}}, Deadline::never()
        ));
    };
    const auto held = reserve("ord_1", 2);
    REQUIRE(held.has_value());
    CHECK(held->front().unit_price.rounded_minor() == 255);
    const auto refused = reserve("ord_2", 9);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == "out_of_stock");
    CHECK(world.stock(id) == "5/3/2/0");
}

TEST_CASE("long ids and pages behind the first are not kept", "[catalogue_cache]") {
    CachedWorld world;
    for (int i = 0; i < 3; ++i)
        world.add("S" + std::to_string(i), 5);
    CHECK(world.show(std::string(3000, 'x')).status == 404);
    CHECK(world.list("q=S").size() == 3);
    REQUIRE(world.sql("UPDATE products SET price_micros = NULL"));
    CHECK(world.list("q=S").empty());
}
