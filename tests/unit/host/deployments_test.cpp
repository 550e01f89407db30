#include "host/deployments.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::host;

namespace {

ModuleInfo module(std::string_view name, std::uint16_t port) {
    ModuleInfo info{};
    info.name = name;
    info.port = port;
    return info;
}

}  // namespace

TEST_CASE("each module has a deployment, after the gateway's", "[deployments]") {
    const ModuleInfo user = module("user", 3001);
    const ModuleInfo product = module("product", 8000);
    const ModuleInfo extra = module("extra", 0);
    const auto table = deployments({&user, &product, &extra});
    REQUIRE(table.size() == 4);
    CHECK(table[0].name == "api-gateway");
    CHECK(table[0].role == "gateway");
    CHECK(table[0].port == 3000);
    CHECK(table[0].internal_port == 0);
    CHECK(table[0].metrics_port == 9190);
    CHECK(table[2].name == "product-service");
    CHECK(table[2].role == "product");
    CHECK(table[2].port == 8000);
    CHECK(table[2].internal_port == 18000);
    CHECK(table[2].metrics_port == 9192);
    // One that names no port is told so at its start, not given another's.
    CHECK(table[3].port == 0);
    CHECK(table[3].internal_port == 0);
    CHECK(table[3].metrics_port == 9193);
}
