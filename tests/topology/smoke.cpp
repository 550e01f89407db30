// The binary as a whole: it starts on an empty folder, tells about itself, stops when told.
#include "souk/json.hpp"
#include "support/process.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace souk;
using test::run_souk;
using test::SoukProcess;

namespace {

json::value parse(const http::Response& response) {
    return json::parse(response.body).value();
}

}  // namespace

TEST_CASE("on an empty folder the shop becomes ready, answers, and stops when told") {
    SoukProcess shop;
    shop.start();

    CHECK(shop.get("/health/live").status == 200);
    CHECK(shop.get("/health/ready").status == 200);
    CHECK(shop.get("/health").status == 200);

    const json::value api = parse(shop.get("/openapi.json"));
    CHECK(api.at("openapi").as_string().starts_with("3.1"));
    const json::object& paths = api.at("paths").as_object();
    for (const char* path :
         {"/api/users/register", "/api/products", "/api/orders", "/health/ready"})
        CHECK(paths.contains(path));
    for (const auto& entry : paths)  // never public
        CHECK_FALSE(entry.key().starts_with("/internal"));

    const http::Response metrics = shop.get_metrics("/metrics");
    CHECK(metrics.status == 200);
    CHECK_THAT(metrics.body, Catch::Contains("http_requests_total"));

    CHECK(shop.stop() == 0);
    CHECK_FALSE(std::filesystem::exists(shop.data() / "souk.json"));
    CHECK_FALSE(std::filesystem::exists(shop.data() / "souk.sock"));
}

TEST_CASE("what is not there is a problem document; what is not public is not there") {
    SoukProcess shop;
    shop.start();
    for (const char* path : {"/api/absent", "/internal/user/audit", "/metrics"}) {
        CAPTURE(path);
        const http::Response response = shop.get(path);
        CHECK(response.status == 404);
        CHECK(response.content_type == "application/problem+json");
        CHECK(parse(response).at("code").as_string() == "not_found");
    }
}

TEST_CASE("a second process on the same folder is refused, and learns who has it") {
    SoukProcess shop;
    shop.start();
    const auto second = shop.run("serve", {"--port", "0", "--metrics-port", "0"});
    CHECK(second.code == 1);
    CHECK_THAT(second.out, Catch::Contains("process " + std::to_string(shop.pid())));
    CHECK(shop.get("/health/ready").status == 200);
}

TEST_CASE("a process that was killed leaves a folder that starts again") {
    SoukProcess shop;
    shop.start();
    shop.kill_hard();
    CHECK(std::filesystem::exists(shop.data() / "souk.sock"));
    shop.start();
    CHECK(shop.stop() == 0);
}

TEST_CASE("a port that is taken is told in words") {
    SoukProcess first;
    first.start();
    SoukProcess second({"--set", "http.port=" + std::to_string(first.port())});
    second.launch();
    CHECK(second.wait() == 1);
    CHECK_THAT(second.log(), Catch::Contains("127.0.0.1:" + std::to_string(first.port())));
}

TEST_CASE("commands work beside a running server and without one") {
    SoukProcess shop;
    const std::string credentials = (shop.data().parent_path() / "admin.json").string();
    const std::vector<std::string> seed = {
        "--demo",
        "--account",
        "admin@example.com",
        "--role",
        "admin",
        "--credentials",
        credentials};
    const auto offline = shop.run("seed", seed);
    CAPTURE(offline.out);
    REQUIRE(offline.code == 0);
    shop.start();
    CHECK(parse(shop.get("/api/products?limit=100")).at("data").as_array().size() == 24);

    const auto online = shop.run("seed", seed);
    CAPTURE(online.out);
    REQUIRE(online.code == 0);
    CHECK(parse(shop.get("/api/products?limit=100")).at("data").as_array().size() == 24);
    CHECK(
        std::filesystem::status(credentials).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)
    );

    std::ifstream in(credentials);
    const std::string body((std::istreambuf_iterator<char>(in)), {});
    CHECK(shop.post("/api/users/login", body).status == 200);
    CHECK_THAT(
        offline.out + online.out,
        !Catch::Contains(std::string(json::parse(body)->at("password").as_string()))
    );

    CHECK(shop.run("healthcheck", {}).code == 0);
    CHECK(shop.stop() == 0);
    CHECK(shop.run("healthcheck", {}).code == 1);
}

TEST_CASE("every fault in the configuration is told at once, with exit code 2") {
    const auto checked = run_souk(
        {"config", "check", "--set", "http.prot=1", "--set", "log.level=loud"},
        {{"SOUK__METRICS__PORT", "x"}, {"SOUK_PORT", "tcp://1.2.3.4:1"}}
    );
    CHECK(checked.code == 2);
    CHECK_THAT(checked.out, Catch::Contains("did you mean 'http.port'"));
    CHECK_THAT(checked.out, Catch::Contains("SOUK__METRICS__PORT"));
    CHECK_THAT(checked.out, Catch::Contains("'loud'"));
    CHECK_THAT(checked.out, !Catch::Contains("SOUK_PORT"));
    CHECK(run_souk({"serve", "--no-such-flag"}).code == 2);
    CHECK(run_souk({"serve", "--modules=order,usr"}).code == 2);
    CHECK(run_souk({"config", "check"}).code == 0);
}

TEST_CASE("verify makes no shop where there is none") {
    const std::string nowhere = "/tmp/souk-no-such-folder";
    const auto verified = run_souk({"verify", "--data", nowhere});
    CHECK(verified.code == 2);
    CHECK_THAT(verified.out, Catch::Contains("there is no shop in " + nowhere));
    CHECK_FALSE(std::filesystem::exists(nowhere));
}

TEST_CASE("readiness turns to 503 before the doors close") {
    SoukProcess shop({"--set", "http.drain_wait=2s"});
    shop.start();
    shop.send(SIGTERM);
    int status = 200;
    while (status == 200)  // ends with 503, or by an exception when the doors closed first
        status = shop.get("/health/ready").status;
    CHECK(status == 503);
    CHECK(shop.get("/health/live").status == 200);
    CHECK(shop.wait() == 0);
}
