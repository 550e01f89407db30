// `souk doctor` finds what is wrong with what is configured, before and while a shop runs on it;
// and `souk events dead` gives an operator back what a module could not handle.
#include "base/system_clock.hpp"
#include "database/sqlite/sqlite_database.hpp"
#include "events/rabbitmq/connection.hpp"
#include "souk/events.hpp"
#include "support/process.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"
#include "support/services.hpp"
#include "support/shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

using namespace souk;
using test::Environment;
using test::Services;
using test::Shop;
using test::SoukProcess;
namespace rabbitmq = souk::events::rabbitmq;

namespace {

constexpr std::array modules = {"user", "product", "order", "payment", "notification"};

struct Diagnosis {
    explicit Diagnosis(const test::Finished& ran) : code(ran.code), text(ran.out) {
        auto parsed = json::parse(ran.out);
        if (!parsed) throw std::runtime_error("souk doctor: " + ran.out);
        report = std::move(*parsed);
    }
    /// "ok", "warn" or "fail"; empty when there is no such check.
    std::string status(const std::string& name) const { return member(name, "status"); }
    std::string member(const std::string& name, const std::string& what) const {
        for (const json::value& check : report.at("checks").as_array())
            if (check.at("name").as_string() == name)
                return std::string(check.at(what).as_string());
        return {};
    }
    bool ok() const { return report.at("ok").as_bool(); }

    int code;
    std::string text;
    json::value report;
};

Diagnosis diagnose(const SoukProcess& shop, std::vector<std::string> args = {}) {
    args.emplace_back("--json");
    return Diagnosis(shop.run("doctor", std::move(args)));
}

Environment with(Environment stack, const std::string& name, const std::string& value) {
    for (auto& [key, old] : stack)
        if (key == name) old = value;
    return stack;
}

std::string value_of(const Environment& stack, const std::string& name) {
    for (const auto& [key, value] : stack)
        if (key == name) return value;
    throw std::logic_error("no " + name);
}

void run_sql(const Environment& stack, const std::string& module, const std::string& sql) {
    std::string url = value_of(stack, "DATABASE_URL");
    for (std::size_t at = 0; (at = url.find("{module}")) != std::string::npos;)
        url.replace(at, 8, module);
    REQUIRE(std::system(fmt::format("psql -X -q '{}' -c \"{}\"", url, sql).c_str()) == 0);
}

std::string spoiled_password(std::string url) {
    return url.insert(url.rfind('@'), "x");
}

/// The order module says something that the payment module cannot understand.
void put_nonsense_into_outbox(const std::filesystem::path& data) {
    database::SqliteOptions options;
    options.file = data / "order" / "order.sqlite";
    auto opened = database::open_sqlite(std::move(options), base::system_clock());
    REQUIRE(opened);
    const Event event("order.placed", "ord_00000000000000000000000000", 1, "{}");
    TransactionBody body = [&event](Transaction& tx) {
        return append_event(tx, base::system_clock(), event);
    };
    REQUIRE(test::run_task((*opened)->transact(std::move(body), Deadline::never())));
}

constexpr const char* nonsense_on_postgres =
    "INSERT INTO outbox (event_id, type, aggregate_id, version, data, occurred_at) VALUES "
    "('evt_nonsense', 'order.placed', 'ord_00000000000000000000000000', 1, '{}', 1)";

/// `souk events dead` beside a shop.
class Operator {
public:
    Operator(const SoukProcess& shop, Environment stack) : shop_(shop), stack_(std::move(stack)) {}

    test::Finished run(std::vector<std::string> args) const {
        args.insert(args.begin(), {"events", "dead"});
        args.insert(args.end(), {"--data", shop_.data().string()});
        return test::run_souk(args, stack_);
    }
    json::array letters() const {
        const auto ran = run({"list", "--json"});
        const std::size_t begin = ran.out.find(R"({"data":)");  // after what was logged
        auto parsed = json::parse(ran.out.substr(std::min(begin, ran.out.size())));
        if (ran.code != 0 || !parsed) throw std::runtime_error("souk events dead: " + ran.out);
        return parsed->at("data").as_array();
    }
    bool finds_one() const {
        return test::eventually(seconds(30), [this] { return !letters().empty(); });
    }

private:
    const SoukProcess& shop_;
    const Environment stack_;
};

}  // namespace

TEST_CASE("the doctor finds an embedded shop well before, while and after it runs") {
    SoukProcess shop(Environment(), {});
    const Diagnosis before = diagnose(shop);
    INFO(before.text);
    CHECK(before.code == 0);
    CHECK(before.ok());
    CHECK(!std::filesystem::exists(shop.data()));  // it changed nothing

    shop.start();
    const Diagnosis beside = diagnose(shop);
    INFO(beside.text);
    CHECK(beside.code == 0);
    CHECK_THAT(beside.member("data lock", "detail"), Catch::Contains(std::to_string(shop.pid())));
    CHECK_THAT(beside.member("database order", "detail"), Catch::Contains("in use"));
    CHECK(shop.stop() == 0);

    const Diagnosis after = diagnose(shop);
    INFO(after.text);
    CHECK(after.code == 0);
    for (const std::string module : modules)
        CHECK(after.member("schema " + module, "detail") == "up to date");
}

TEST_CASE("the doctor finds what is wrong with files") {
    SoukProcess shop(Environment(), {});
    REQUIRE(shop.run("migrate", {}).code == 0);
    std::ofstream(shop.data() / "order" / "order.sqlite") << std::string(8192, 'x');
    const Diagnosis diagnosis = diagnose(shop);
    INFO(diagnosis.text);
    CHECK(diagnosis.code == 1);
    CHECK(!diagnosis.ok());
    CHECK(diagnosis.status("database order") == "fail");
    CHECK(diagnosis.status("database user") == "ok");
}

TEST_CASE("the doctor tells every fault of the configuration at once, and no password") {
    SoukProcess shop(
        Environment{{"DATABASE_URL", "mysql://me:hunter2@db"}, {"REDIS_URL", "redis://:hunter2@"}},
        {}
    );
    const Diagnosis diagnosis = diagnose(shop, {"--set", "http.port=x"});
    INFO(diagnosis.text);
    CHECK(diagnosis.code == 1);
    CHECK(diagnosis.report.at("checks").as_array().size() == 4);
    CHECK(diagnosis.text.find("hunter2") == std::string::npos);
}

TEST_CASE("the doctor finds servers well, and their schemas before and after") {
    SoukProcess shop(Services::shared().fresh_shop(), {});
    const Diagnosis before = diagnose(shop);
    INFO(before.text);
    CHECK(before.code == 0);
    for (const std::string module : modules) {
        CHECK_THAT(before.member("database " + module, "detail"), Catch::Contains("PostgreSQL"));
        CHECK_THAT(before.member("schema " + module, "detail"), Catch::Contains("to come"));
    }
    CHECK(before.status("redis") == "ok");
    CHECK(before.status("redis rights") == "ok");
    CHECK(before.status("redis memory") == "ok");
    CHECK(before.status("rabbitmq") == "ok");
    CHECK(before.status("rabbitmq rights") == "ok");

    REQUIRE(shop.run("migrate", {}).code == 0);
    const Diagnosis after = diagnose(shop);
    INFO(after.text);
    for (const std::string module : modules)
        CHECK(after.member("schema " + module, "detail") == "up to date");
}

TEST_CASE("the doctor names each server that is wrong, and no password") {
    const Environment good = Services::shared().fresh_shop();
    Environment bad = good;
    for (const char* name : {"DATABASE_URL", "REDIS_URL", "RABBITMQ_URL"})
        bad = with(bad, name, spoiled_password(value_of(good, name)));
    SoukProcess shop(bad, {});
    const Diagnosis diagnosis = diagnose(shop);
    INFO(diagnosis.text);
    CHECK(diagnosis.code == 1);
    for (const std::string module : modules) {
        CHECK(diagnosis.status("database " + module) == "fail");
        CHECK_THAT(diagnosis.member("database " + module, "mend"), Catch::Contains("DATABASE_URL"));
    }
    CHECK(diagnosis.status("redis") == "fail");
    CHECK(diagnosis.status("rabbitmq") == "fail");
    CHECK_THAT(diagnosis.member("rabbitmq", "detail"), Catch::Contains("password"));
    for (const char* name : {"DATABASE_URL", "REDIS_URL", "RABBITMQ_URL"}) {
        const std::string url = value_of(good, name);
        const std::string password =
            url.substr(url.rfind(':', url.rfind('@')) + 1, 32);  // of services.sh
        CHECK(diagnosis.text.find(password) == std::string::npos);
    }
}

TEST_CASE("the doctor knows a schema of a newer version") {
    const Environment stack = Services::shared().fresh_shop();
    SoukProcess shop(stack, {});
    REQUIRE(shop.run("migrate", {}).code == 0);
    run_sql(stack, "order", "INSERT INTO souk_migrations VALUES ('0999_contract_future', 'x', 1)");
    const Diagnosis diagnosis = diagnose(shop);
    INFO(diagnosis.text);
    CHECK(diagnosis.code == 1);
    CHECK(diagnosis.status("schema user") == "ok");
    CHECK(diagnosis.status("schema order") == "fail");
    CHECK_THAT(diagnosis.member("schema order", "detail"), Catch::Contains("0999_contract_future"));
}

TEST_CASE("the doctor knows queues that were declared otherwise, and makes none") {
    const Environment stack = Services::shared().fresh_shop();
    const auto address = rabbitmq::parse_address(value_of(stack, "RABBITMQ_URL"));
    REQUIRE(address);
    const std::string prefix = value_of(stack, "SOUK__RABBITMQ__PREFIX");
    const auto there = [&](const std::string& queue) {
        rabbitmq::Connection connection(*address);
        connection.open_channel(1);
        return connection.queue_exists(1, prefix + queue);
    };
    SoukProcess shop(stack, {});
    SECTION("a shop at work has those that the doctor wants") {
        CHECK(diagnose(shop).status("rabbitmq queues") == "ok");
        CHECK_FALSE(there(".order"));
        shop.start();
        CHECK(there(".order"));
        const Diagnosis beside = diagnose(shop);
        INFO(beside.text);
        CHECK(beside.code == 0);
        CHECK(beside.status("rabbitmq queues") == "ok");
        CHECK(shop.stop() == 0);
    }
    SECTION("a classic queue is told, which a start would not take") {
        rabbitmq::Connection connection(*address);
        connection.open_channel(1);
        connection.declare_queue(1, prefix + ".order", {});
        const Diagnosis drifted = diagnose(shop);
        INFO(drifted.text);
        CHECK(drifted.code == 1);
        CHECK(drifted.status("rabbitmq rights") == "ok");
        CHECK(drifted.status("rabbitmq queues") == "fail");
        CHECK_THAT(
            drifted.member("rabbitmq queues", "mend"),
            Catch::Contains("rabbitmqctl delete_queue") && Catch::Contains(" " + prefix + ".order;")
        );
        CHECK_FALSE(there(".payment"));
    }
}

TEST_CASE("the books of a shop on servers can be read beside an empty data folder") {
    const Environment stack = Services::shared().fresh_shop();
    const test::TempFolder folder;
    const auto verified =
        test::run_souk({"verify", "--data", (folder.path() / "empty").string()}, stack);
    INFO(verified.out);
    CHECK(verified.code == 0);
    CHECK_THAT(verified.out, Catch::Contains("the books agree"));
}

TEST_CASE("for people the doctor says one line a check") {
    SoukProcess shop(Environment(), {});
    const auto ran = shop.run("doctor", {});
    CHECK(ran.code == 0);
    CHECK_THAT(ran.out, Catch::Contains("ok    data folder"));
    CHECK_THAT(ran.out, Catch::Contains("all is well"));
    CHECK(ran.out.find('\x1b') == std::string::npos);
}

TEST_CASE("what a module could not handle is listed, tried again and dropped by the operator") {
    const bool on_servers = GENERATE(false, true);
    CAPTURE(on_servers);
    const Environment stack = on_servers ? Services::shared().fresh_shop() : Environment();
    SoukProcess shop(stack, {});
    const Operator ann(shop, stack);
    shop.start();
    CHECK(ann.letters().empty());
    CHECK_THAT(ann.run({"list"}).out, Catch::Contains("no dead letters"));
    if (on_servers) {
        run_sql(stack, "order", nonsense_on_postgres);
    } else {
        CHECK(shop.stop() == 0);  // the file is its own
        put_nonsense_into_outbox(shop.data());
        shop.start();
    }

    REQUIRE(ann.finds_one());
    const json::array letters = ann.letters();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].at("consumer").as_string() == "payment");
    CHECK(letters[0].at("attempts").as_int64() == 5);
    CHECK(!letters[0].at("last_error").as_string().empty());
    const std::string id(letters[0].at("event").at("id").as_string());
    CHECK_THAT(ann.run({"list"}).out, Catch::Contains("payment " + id));

    // Nothing was mended: it comes back.
    CHECK(ann.run({"replay", "payment", id}).code == 0);
    REQUIRE(ann.finds_one());
    CHECK_THAT(ann.run({"replay", "payment", "--all"}).out, Catch::Contains("1 to be"));
    REQUIRE(ann.finds_one());

    CHECK(ann.run({"drop", "payment", "evt_unknown"}).code == 1);
    CHECK(ann.run({"replay", "payment"}).code == 2);
    CHECK(ann.run({"drop", "payment", id}).code == 0);
    CHECK(ann.letters().empty());
    CHECK(shop.stop() == 0);

    // Also with no server running.
    CHECK(ann.letters().empty());
}
