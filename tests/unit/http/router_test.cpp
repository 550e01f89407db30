#include "http/router.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;

namespace {

Route route(Method method, std::string pattern, Access access = Access::everyone()) {
    return Route(method, std::move(pattern), access, "A summary", Handler());
}

/// "pattern {id}=value" of what answers, or the Allow field in brackets.
std::string match(const Router& router, Method method, std::string path) {
    Request request;
    request.method = method;
    request.path = std::move(path);
    auto found = router.match(request);
    if (found.route == nullptr) return "[" + found.allow + "]";
    std::string out = found.route->pattern;
    for (const auto& [name, value] : request.params)
        out += " " + std::string(name) + "=" + value;
    return out;
}

Router shop() {
    Router router;
    Routes routes;
    routes.push_back(route(Method::get, "/"));
    routes.push_back(route(Method::get, "/api/orders"));
    routes.push_back(route(Method::post, "/api/orders", Access::signed_in())
                         .body([](souk::json::ObjectReader& in) { in.text("sku"); })
                         .idempotent_by_key()
                         .answers(201));
    routes.push_back(route(Method::get, "/api/orders/{id}", Access::signed_in()));
    routes.push_back(route(Method::post, "/api/orders/import", Access::permission("orders:import"))
    );
    routes.push_back(route(Method::get, "/api/orders/{order}/lines/{line}"));
    routes.push_back(route(Method::delete_, "/api/orders/latest/lines/{n}"));
    router.add("order", std::move(routes));
    return router;
}

}  // namespace

TEST_CASE("a path finds its route", "[router]") {
    const auto router = shop();
    CHECK(match(router, Method::get, "/") == "/");
    CHECK(match(router, Method::get, "/api/orders") == "/api/orders");
    CHECK(match(router, Method::get, "/api/orders/ord_1") == "/api/orders/{id} id=ord_1");
    CHECK(match(router, Method::head, "/api/orders/ord_1") == "/api/orders/{id} id=ord_1");
    CHECK(
        match(router, Method::get, "/api/orders/a/lines/7") ==
        "/api/orders/{order}/lines/{line} order=a line=7"
    );
}

TEST_CASE("static segments win over parameters, unless they lead nowhere", "[router]") {
    const auto router = shop();
    CHECK(match(router, Method::post, "/api/orders/import") == "/api/orders/import");
    CHECK(match(router, Method::get, "/api/orders/import") == "/api/orders/{id} id=import");
    CHECK(
        match(router, Method::delete_, "/api/orders/latest/lines/1") ==
        "/api/orders/latest/lines/{n} n=1"
    );
    CHECK(
        match(router, Method::get, "/api/orders/latest/lines/1") ==
        "/api/orders/{order}/lines/{line} order=latest line=1"
    );
}

TEST_CASE("what has no route says what the path allows", "[router]") {
    const auto router = shop();
    CHECK(match(router, Method::get, "/api") == "[]");
    CHECK(match(router, Method::get, "/api/orders/") == "[]");
    CHECK(match(router, Method::get, "/api//orders") == "[]");
    CHECK(match(router, Method::get, "/api/orders/a/b") == "[]");
    CHECK(match(router, Method::get, "") == "[]");
    CHECK(match(router, Method::get, "*") == "[]");
    CHECK(match(router, Method::put, "/api/orders") == "[GET, HEAD, POST]");
    CHECK(match(router, Method::patch, "/api/orders/import") == "[GET, HEAD, POST]");
}

TEST_CASE("routes that collide are a fault in code", "[router]") {
    const auto collide = [](std::string a, std::string b) {
        Router router;
        Routes first;
        first.push_back(route(Method::get, std::move(a)));
        router.add("one", std::move(first));
        Routes second;
        second.push_back(route(Method::get, std::move(b)));
        router.add("two", std::move(second));
    };
    CHECK_THROWS_AS(collide("/a/{id}", "/a/{name}"), std::logic_error);
    CHECK_THROWS_AS(collide("/a", "/a"), std::logic_error);
    CHECK_THROWS_AS(collide("/a", "a"), std::logic_error);
    CHECK_NOTHROW(collide("/a/{id}", "/a/b"));
}

TEST_CASE("the OpenAPI document lists each route", "[router][openapi]") {
    const auto router = shop();
    const auto document = router.openapi("1.2.3");
    CHECK(document.at("openapi").as_string() == "3.1.0");
    CHECK(document.at("info").at("version").as_string() == "1.2.3");
    const auto& paths = document.at("paths").as_object();
    std::size_t operations = 0;
    std::vector<std::string> ids;
    for (const auto& path : paths)
        for (const auto& operation : path.value().as_object()) {
            ++operations;
            ids.emplace_back(operation.value().at("operationId").as_string());
            CHECK(operation.value().at("responses").as_object().contains("default"));
        }
    CHECK(operations == 7);
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());

    const auto& place = paths.at("/api/orders").at("post").as_object();
    CHECK(place.at("responses").as_object().contains("201"));
    CHECK(place.at("security").as_array().size() == 1);
    CHECK(place.at("parameters").as_array().at(0).at("name").as_string() == "Idempotency-Key");
    const auto& schema =
        place.at("requestBody").at("content").at("application/json").at("schema").as_object();
    CHECK(schema.at("properties").as_object().contains("sku"));

    const auto& import = paths.at("/api/orders/import").at("post").as_object();
    const auto& scopes = import.at("security").as_array().at(0).at("bearer").as_array();
    CHECK(scopes.at(0).as_string() == "orders:import");

    const auto& one = paths.at("/api/orders/{id}").at("get").as_object();
    CHECK(one.at("parameters").as_array().at(0).at("in").as_string() == "path");
    CHECK_FALSE(paths.at("/api/orders").at("get").as_object().contains("security"));
}
