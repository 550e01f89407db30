#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::http;
using namespace souk::http::test;

TEST_CASE("a connection serves one request after the other", "[server]") {
    Shop shop;
    TestServer server(shop.routes());
    Wire wire(server.port());
    for (int i = 0; i < 3; ++i) {
        wire.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        auto response = wire.response();
        CHECK(status_of(response) == 200);
        CHECK(body_of(response) == "hello");
        CHECK(field_of(response, "Connection").empty());
    }
    CHECK(shop.hellos == 3);
}
