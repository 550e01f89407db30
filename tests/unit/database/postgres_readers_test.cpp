// The reads of several threads: a connection on each, nothing of which another thread touches.
#include "postgres_world.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <future>
#include <set>
#include <thread>

namespace souk::test {
namespace {

constexpr Statement backend{"test.backend", "SELECT pg_backend_pid()"};

Task<Result<Rows>> ask(Database& database) {
    co_return co_await database.query(backend, Params(), Deadline::never());
}

/// Asks for the backend's number many times at once on the thread of `home`.
std::set<std::int64_t> backends_at(Database& database, Home& home, int times = 50) {
    std::vector<std::future<Result<Rows>>> answers;
    for (int i = 0; i < times; ++i)
        answers.push_back(asio::co_spawn(home.executor(), ask(database), asio::use_future));
    std::set<std::int64_t> pids;
    for (auto& answer : answers) {
        auto rows = answer.get();
        pids.insert(rows ? (*rows)[0].integer(0) : 0);
    }
    return pids;
}

/// Homes end after the database, and wait for what is under way on them.
struct World {
    World() {
        auto options = options_with(1);
        options.url = Services::shared().fresh_schema();
        std::vector<Executor> readers;
        readers.push_back(first.executor());
        readers.push_back(second.executor());
        auto opened = run_task(database::open_postgres(
            options, first.executor(), base::system_clock(), *metrics, std::move(readers)
        ));
        database = std::move(opened).value();
    }
    std::unique_ptr<Metrics> metrics = observe::make_metrics();
    Home first, second, other;
    std::unique_ptr<Database> database;
};

}  // namespace

TEST_CASE("postgres: reads stay on the connection of their thread") {
    World world;
    const auto first = backends_at(*world.database, world.first);
    const auto second = backends_at(*world.database, world.second);
    CHECK(first.size() == 1);
    CHECK(second.size() == 1);
    CHECK(first != second);
    CHECK(backends_at(*world.database, world.first) == first);
    // Who has none is served by one of them, always the same.
    const auto other = backends_at(*world.database, world.other);
    CHECK((other == first || other == second));
    CHECK(backends_at(*world.database, world.other) == other);
    CHECK_THAT(world.metrics->expose(), Catch::Contains("database_connections{kind=\"shared\"} 2"));
}

TEST_CASE("postgres: a connection that one thread loses is no other's fault") {
    World world;
    const auto first = *backends_at(*world.database, world.first).begin();
    const auto second = backends_at(*world.database, world.second);
    Tester admin(Services::shared().postgres_admin_url());
    admin.run(fmt::format("SELECT pg_terminate_backend({})", first));
    CHECK(backends_at(*world.database, world.second) == second);
    CHECK(eventually([&] {
        const auto now = backends_at(*world.database, world.first, 1);
        return !now.contains(first) && !now.contains(0);
    }));
    CHECK(eventually([&] { return world.database->fault().empty(); }));
}

TEST_CASE("postgres: may be destroyed when none of its threads runs any more") {
    auto metrics = observe::make_metrics();
    auto options = options_with(1);
    options.url = with(Services::shared().fresh_schema(), "application_name=souk-two-gone");
    {
        asio::io_context first, second;
        auto work = std::make_pair(asio::make_work_guard(first), asio::make_work_guard(second));
        std::thread one([&] { first.run(); });
        std::thread two([&] { second.run(); });
        std::vector<Executor> readers;
        readers.push_back(first.get_executor());
        readers.push_back(second.get_executor());
        auto opened = run_task(database::open_postgres(
            options, first.get_executor(), base::system_clock(), *metrics, std::move(readers)
        ));
        first.stop();
        second.stop();
        one.join();
        two.join();
        REQUIRE(opened);
        opened->reset();
    }
    Tester tester(Services::shared().postgres_admin_url());
    CHECK(eventually([&] {
        return tester.run(
                   "SELECT count(*) FROM pg_stat_activity "
                   "WHERE application_name = 'souk-two-gone'"
               ) == "0";
    }));
    CHECK_THAT(metrics->expose(), Catch::Contains("database_connections{kind=\"shared\"} 0"));
}

}  // namespace souk::test
