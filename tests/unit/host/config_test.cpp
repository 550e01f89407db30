#include "host/config.hpp"

#include "support/result_text.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace souk;
using host::Config;
using host::ConfigFlag;
using host::ConfigInput;

namespace {

std::string write_file(const test::TempFolder& folder, const std::string& content) {
    const std::filesystem::path file = folder.path() / "shop.toml";
    std::ofstream(file) << content;
    return file.string();
}

/// The faults of `input`, "origin: words" each.
std::vector<std::string> faults_of(const ConfigInput& input) {
    const auto config = Config::load(input);
    std::vector<std::string> out;
    if (!config)
        for (const FieldError& fault : config.error().fields)
            out.push_back(fault.pointer + ": " + fault.detail);
    return out;
}

std::vector<std::string> faults_of_flag(const std::string& assignment) {
    ConfigInput input;
    input.flags.emplace_back("--set", assignment);
    return faults_of(input);
}

std::vector<std::string> faults_of_variable(const std::string& name, const std::string& value) {
    ConfigInput input;
    input.environment.emplace_back(name, value);
    return faults_of(input);
}

}  // namespace

TEST_CASE("the embedded file gives every default, with its type") {
    const auto config = Config::load(ConfigInput());
    REQUIRE(config);
    CHECK(config->integer("http.port") == 3000);
    CHECK(config->boolean("http.access_log"));
    CHECK(config->duration("http.idle_timeout") == std::chrono::seconds(60));
    CHECK(config->text("modules.order.currency") == "GBP");
    CHECK(config->values().at("http.port").origin == "default");
    CHECK(config->section("modules.order").text("currency") == "GBP");
    CHECK_THROWS_AS(config->text("http.prt"), std::logic_error);
}

TEST_CASE("a flag wins over the environment, that over the file, that over the default") {
    const test::TempFolder folder;
    ConfigInput input;
    input.file = write_file(folder, "[http]\nport = 1001\nthreads = 3\nidle_timeout = \"9s\"\n");
    input.environment = {{"SOUK__HTTP__PORT", "1002"}, {"SOUK__HTTP__THREADS", "4"}};
    input.flags.emplace_back("--port", "http.port=1003");
    const auto config = Config::load(input);
    REQUIRE(config);
    CHECK(config->integer("http.port") == 1003);
    CHECK(config->values().at("http.port").origin == "--port");
    CHECK(config->integer("http.threads") == 4);
    CHECK(config->values().at("http.threads").origin == "SOUK__HTTP__THREADS");
    CHECK(config->duration("http.idle_timeout") == std::chrono::seconds(9));
    CHECK(config->values().at("http.idle_timeout").origin == input.file + ":4");
    CHECK(config->integer("metrics.port") == 9090);
}

TEST_CASE("every fault is told at once, each with its origin") {
    const test::TempFolder folder;
    ConfigInput input;
    input.file = write_file(folder, "[http]\nprot = 1\nport = \"80\"\n");
    input.environment = {{"SOUK__METRICS__PORT", "70000"}};
    input.flags.emplace_back("--set", "log.level=loud");
    const auto faults = faults_of(input);
    REQUIRE(faults.size() == 4);
    const std::string all = Config::load(input).error().detail;
    CHECK_THAT(
        all,
        Catch::Contains(
            input.file + ":2: there is no setting 'http.prot'; did you mean "
                         "'http.port'?"
        )
    );
    CHECK_THAT(all, Catch::Contains(input.file + ":3: http.port: must be an integer"));
    CHECK_THAT(all, Catch::Contains("SOUK__METRICS__PORT: metrics.port: 70000 is not a port"));
    CHECK_THAT(
        all, Catch::Contains("--set: log.level: 'loud' is none of debug, info, warn, error")
    );
}

TEST_CASE("a value that the setting cannot hold is refused") {
    const auto assignment = GENERATE(
        as<std::string>(),
        "http.port=-1",
        "http.port=65536",
        "http.port=80x",
        "http.port=",
        "http.access_log=yes",
        "http.idle_timeout=60",
        "http.idle_timeout=0s",
        "http.max_connections=0",
        "sqlite.readers=-1",
        "http.address=localhost",
        "log.format=xml",
        "http.trusted_proxies=10.0.0.0/99",
        "data.dir=",
        "http.port"
    );
    CAPTURE(assignment);
    CHECK(faults_of_flag(assignment).size() == 1);
}

TEST_CASE("a value at the edge of what the setting holds is taken") {
    const auto assignment = GENERATE(
        as<std::string>(),
        "http.port=0",
        "http.port=65535",
        "http.drain_wait=0s",
        "http.threads=0",
        "http.address=::",
        "http.trusted_proxies=10.0.0.0/8, fd00::/8",
        "http.idle_timeout=1ms",
        "gateway.cors_origins="
    );
    CAPTURE(assignment);
    CHECK(faults_of_flag(assignment).empty());
}

TEST_CASE("only variables with two underscores are ours") {
    CHECK(faults_of_variable("SOUK_PORT", "tcp://10.0.0.1:3000").empty());
    CHECK(faults_of_variable("PATH", "/bin").empty());
    CHECK(faults_of_variable("SOUK__MODULES__USER__ACCESS_TOKEN_TTL", "5m").empty());
    REQUIRE(faults_of_variable("SOUK__HTTP__PROT", "1").size() == 1);
    CHECK_THAT(
        faults_of_variable("SOUK__HTTP__PROT", "1").front(),
        Catch::Contains("did you mean 'http.port'?")
    );
}

TEST_CASE("the usual variables name the servers") {
    ConfigInput input;
    input.environment = {
        {"DATABASE_URL", "postgresql://souk_{module}:pw@db:5432/souk_{module}"},
        {"RABBITMQ_URL", "amqps://souk:pw@broker/%2F"},
        {"REDIS_URL", "rediss://:pw@cache:6379/0"}};
    const auto config = Config::load(input);
    REQUIRE(config);
    CHECK(config->text("postgres.url") == input.environment[0].second);
    CHECK(config->values().at("postgres.url").origin == "DATABASE_URL");
    CHECK(config->text("rabbitmq.url") == input.environment[1].second);
    CHECK(config->text("redis.url") == input.environment[2].second);
}

TEST_CASE("a variable and its other form must not contradict each other") {
    ConfigInput input;
    input.environment = {{"REDIS_URL", "redis://a"}, {"SOUK__REDIS__URL", "redis://a"}};
    CHECK(faults_of(input).empty());
    input.environment.back().second = "redis://secret@b";
    REQUIRE(faults_of(input).size() == 1);
    CHECK_THAT(faults_of(input).front(), Catch::Contains("REDIS_URL says something else"));
    CHECK_THAT(faults_of(input).front(), !Catch::Contains("secret"));
    // An empty one is no server, not a contradiction.
    input.environment.front().second.clear();
    CHECK(faults_of(input).empty());
}

TEST_CASE("an address that no server can have is refused without being repeated") {
    const auto assignment = GENERATE(
        as<std::string>(),
        "redis.url=cache:6379",
        "redis.url=http://:hunter2@cache",
        "redis.url=redis://:hunter2@",
        "redis.url=redis://:hunter2@:6379",
        "redis.url=redis://:hunter2@cache:0",
        "redis.url=redis://:hunter2@cache:65536",
        "redis.url=redis://:hunter2@cache:63 79",
        "redis.url=redis://:hunter2/x@cache",
        "postgres.replica_url=mysql://me:hunter2@db/souk",
        "postgres.replica_url=postgresql://me:hunter2@/souk",
        "postgres.replica_url=postgresql://me:hunter2@a,:5/souk"
    );
    CAPTURE(assignment);
    ConfigInput input;
    input.environment = {{"DATABASE_URL", "postgres://db"}, {"RABBITMQ_URL", "amqp://broker"}};
    input.flags.emplace_back("--set", assignment);
    const auto faults = faults_of(input);
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults.front(), Catch::Contains("write it like"));
    CHECK_THAT(faults.front(), !Catch::Contains("hunter2"));
}

TEST_CASE("a password that is not percent-encoded is refused, and nothing of it is shown") {
    const auto password = GENERATE(
        as<std::string>(),
        "h@nter/Sekret2",
        "p@Sekret",
        "12/Sekret",
        "Sekret/12",
        "Sekret:12",
        "12:Sekret",
        "Sekret%zz",
        "Sekret%4",
        "12#Sekret",
        "12?Sekret",
        "12?host=Sekret",
        "12?dbname=Sekret"
    );
    const auto [key, url] = GENERATE(
        std::pair<std::string, std::string>("postgres.url", "postgresql://souk:{}@h:5432/souk_x"),
        std::pair<std::string, std::string>("postgres.replica_url", "postgres://souk:{}@h/souk_x"),
        std::pair<std::string, std::string>("redis.url", "redis://:{}@h:6379/0"),
        std::pair<std::string, std::string>("rabbitmq.url", "amqp://souk:{}@h:5672/%2F")
    );
    std::string value = url;
    value.replace(value.find("{}"), 2, password);
    CAPTURE(key, value);
    ConfigInput input;
    input.environment = {{"DATABASE_URL", "postgres://db"}, {"RABBITMQ_URL", "amqp://broker"}};
    input.flags.emplace_back("--set", key + "=" + value);
    const auto faults = faults_of(input);
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults.front(), Catch::Contains("percent-encode the password"));
    CHECK_THAT(faults.front(), !Catch::Contains("ekret") && !Catch::Contains("nter"));
    const std::string shown = host::masked(key, value);
    CHECK_THAT(shown, !Catch::Contains("ekret") && !Catch::Contains("nter"));
}

TEST_CASE("a percent-encoded password is taken, whatever it holds") {
    const std::string password = "%2F%3A%40%23%3F%25%5b";
    ConfigInput input;
    input.environment = {
        {"DATABASE_URL", "postgresql://souk:" + password + "@db/souk_{module}?sslmode=require"},
        {"REDIS_URL", "redis://:" + password + "@cache/0"},
        {"RABBITMQ_URL", "amqp://souk:" + password + "@broker/%2F"}};
    CHECK(faults_of(input).empty());
}

TEST_CASE("addresses that the servers' own clients take are taken") {
    const auto url = GENERATE(
        as<std::string>(),
        "postgres://db",
        "postgresql://u:p%2Fw@[::1]:5432/d?sslmode=verify-full",
        "postgresql://u@a:5432,b:5433/d?target_session_attrs=read-write",
        "postgresql:///souk_{module}?host=/run/postgresql"
    );
    CAPTURE(url);
    ConfigInput input;
    input.environment = {{"DATABASE_URL", url}, {"RABBITMQ_URL", "amqp://u:p@broker:5672/shop"}};
    CHECK(faults_of(input).empty());
}

TEST_CASE("PostgreSQL and RabbitMQ come together, and all that is wrong is told at once") {
    const auto alone = faults_of_variable("DATABASE_URL", "postgresql://db/souk_{module}");
    REQUIRE(alone.size() == 1);
    CHECK_THAT(alone.front(), Catch::Contains("set RABBITMQ_URL"));
    CHECK_THAT(
        faults_of_variable("RABBITMQ_URL", "amqp://broker").at(0),
        Catch::Contains("set DATABASE_URL")
    );
    CHECK(faults_of_variable("REDIS_URL", "redis://cache").empty());
    CHECK(faults_of_flag("postgres.replica_url=postgresql://db").size() == 1);
    ConfigInput input;
    input.environment = {
        {"DATABASE_URL", "postgresql://db/souk_{module}"}, {"REDIS_URL", "memcached://cache"}};
    input.flags.emplace_back("--set", "http.port=x");
    CHECK(faults_of(input).size() == 3);
    // A wrong one is not a missing one.
    input.environment = {{"DATABASE_URL", "mysql://db"}, {"RABBITMQ_URL", "amqp://broker"}};
    CHECK(faults_of(input).size() == 2);
}

TEST_CASE("a file that cannot be read, or is no TOML, is one fault with the place") {
    const test::TempFolder folder;
    ConfigInput input;
    input.file = (folder.path() / "absent.toml").string();
    CHECK(faults_of(input).size() == 1);
    input.file = folder.path().string();
    CHECK(faults_of(input).size() == 1);
    input.file = write_file(folder, "[http]\nport = \n");
    REQUIRE(faults_of(input).size() == 1);
    CHECK_THAT(faults_of(input).front(), Catch::Contains("line 2"));
}

TEST_CASE("secrets are masked") {
    CHECK(host::masked("smtp.password", "hunter2") == "***");
    CHECK(host::masked("payment.secret_token", "x") == "***");
    CHECK(host::masked("gateway.token_key_file", "x") == "***");
    CHECK(host::masked("webhook.signing_key", "x") == "***");
    CHECK(host::masked("webhook.signing_key", "").empty());
    CHECK(host::masked("modules.user.access_token_ttl", "10m") == "10m");
    CHECK(
        host::masked("database.url", "postgres://me:pa/ss@host/db").find("pa/ss") ==
        std::string::npos
    );
    CHECK(host::masked("database.url", "postgres://me:pw@host/db") == "postgres://***@host/db");
    CHECK(host::masked("database.url", "postgres://host/db") == "postgres://host/db");
    CHECK(
        host::masked("postgres.url", "postgresql://h/d?password=a&sslpassword=b&sslmode=require") ==
        "postgresql://h/d?password=***&sslpassword=***&sslmode=require"
    );
}
