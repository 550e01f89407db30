// The PostgreSQL driver and what says nothing: a frozen server or replica, a frozen backend, a
// resolver; and what it must not take for that.
#include "postgres_world.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <netdb.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <future>

namespace {

std::atomic<bool> hold_look_ups = false;

}  // namespace

/// The process's own, so that a test can make the resolver hang for one name.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" int getaddrinfo(
    const char* node, const char* service, const addrinfo* hints, addrinfo** found
) {
    static const auto real =
        reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
    while (node != nullptr && std::strcmp(node, "silent.invalid") == 0 && hold_look_ups)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return real(node, service, hints, found);
}

namespace souk::test {
namespace {

constexpr Statement one{"test.one", "SELECT 1"};
constexpr Statement rows{"test.rows", "SELECT count(*) FROM t"};
constexpr Statement backend{"test.backend", "SELECT pg_backend_pid()"};
constexpr Statement insert{"test.insert", "INSERT INTO t (id) VALUES ($1)"};
constexpr Statement sleep_for_seconds{"test.sleep", "SELECT 1 FROM pg_sleep(3)"};
constexpr Statement lock_key{
    "test.lock", "SELECT pg_backend_pid() FROM (SELECT pg_advisory_xact_lock($1)) AS locked"};
constexpr Statement waiting_for_locks{
    "test.waiting", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"};
const Migration table{"0001_t", "CREATE TABLE t (id BIGINT PRIMARY KEY)"};

/// Longer than anything that a test waits for: what ends by it has not been failed fast.
Deadline far_away() {
    return Deadline(base::system_clock(), seconds(20));
}

/// Stops a process, and goes on with it at its end.
class Frozen {
public:
    explicit Frozen(pid_t pid) { stop(pid); }
    /// A whole server: the postmaster first, so that it makes no more.
    explicit Frozen(Services& services) {
        Tester admin(services.postgres_admin_url());
        const std::string file = admin.run("SELECT pg_read_file('postmaster.pid')");
        const pid_t postmaster = std::stoi(file);
        stop(postmaster);
        std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", postmaster));
        for (pid_t child = 0; children >> child;)
            stop(child);
    }
    ~Frozen() {
        for (pid_t pid : pids_)
            ::kill(pid, SIGCONT);
    }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;

private:
    void stop(pid_t pid) {
        if (::kill(pid, SIGSTOP) == 0) pids_.push_back(pid);
    }
    std::vector<pid_t> pids_;
};

pid_t pid_of(const Result<Rows>& answer) {
    return static_cast<pid_t>(answer.value()[0].integer(0));
}

/// Returns when its socket is closed.
void terminate(Tester& admin, std::int64_t pid) {
    admin.run(fmt::format("SELECT pg_terminate_backend({})", pid));
    CHECK(eventually([&] { return ::kill(static_cast<pid_t>(pid), 0) != 0; }));
}

void check_refused(const Result<Rows>& answer) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::unavailable);
    CHECK(answer.error().retry_after_s == 1);
}

}  // namespace

TEST_CASE("postgres: while the server is frozen calls fail, long before their deadlines") {
    Services services({Server::postgres});
    auto options = options_with(2);
    options.url = services.fresh_schema();
    PostgresFixture world({table}, base::system_clock(), options);
    auto& database = world.database();
    for (int round = 1; round <= 2; ++round) {
        {
            Frozen frozen(services);
            Wave<Rows> wave;
            for (int i = 0; i < 20; ++i)
                wave.add(database.query(one, {}, far_away()));
            wave.run();
            for (const auto& answer : wave.results)
                check_refused(answer);
            CHECK_FALSE(database.fault().empty());
            check_refused(run_task(database.query(one, {}, far_away())));
            auto unwritten = run_task(write_task(database, insert, bind(100), far_away(), nullptr));
            REQUIRE_FALSE(unwritten);
            CHECK(unwritten.error().kind == ErrorKind::unavailable);
            CHECK(unwritten.error().code != "commit_unknown");
        }
        CHECK(eventually([&] { return read(database, one) && write(database, one); }));
        CHECK(write(database, insert, bind(round)));
        CHECK((*read(database, rows))[0].integer(0) == round);
        CHECK(eventually([&] { return database.fault().empty(); }));
    }
}

TEST_CASE("postgres: a transaction on a frozen server ends with its deadline") {
    Services services({Server::postgres});
    auto options = options_with(1);
    options.url = services.fresh_schema();
    PostgresFixture world({table}, base::system_clock(), options);
    {
        Frozen frozen(services);
        const Deadline soon(base::system_clock(), milliseconds(100));
        auto late = run_task(write_task(world.database(), insert, bind(1), soon, nullptr));
        REQUIRE_FALSE(late);
        CHECK(late.error().kind == ErrorKind::timeout);
        // Its connection is closed, and no other comes about.
        CHECK(eventually([&] { return !world.database().fault().empty(); }));
    }
    CHECK(eventually([&] { return write(world.database(), insert, bind(2)).has_value(); }));
    CHECK((*read(world.database(), rows))[0].integer(0) == 1);
}

TEST_CASE("postgres: stale reads leave a frozen replica for the primary") {
    Services replica({Server::postgres});
    auto options = options_with(1);
    options.replica_url = replica.fresh_schema();
    Tester(options.replica_url).run("CREATE TABLE t (id BIGINT)");
    PostgresFixture world({table}, base::system_clock(), options);
    auto& database = world.database();
    REQUIRE(write(database, insert, bind(1)));
    auto stale = [&] {
        auto answer = run_task(database.query_stale(rows, {}, far_away()));
        REQUIRE(answer);
        return (*answer)[0].integer(0);
    };
    CHECK(eventually([&] { return stale() == 0; }));
    {
        Frozen frozen(replica);
        for (int i = 0; i < 50; ++i)
            REQUIRE(stale() == 1);
        CHECK(database.fault().empty());
    }
    CHECK(eventually([&] { return stale() == 0; }));
}

TEST_CASE("postgres: what waits for a replica that goes away is answered by the primary") {
    Services replica({Server::postgres});
    auto options = options_with(1);
    options.queue_limit = 8;  // in the pipeline, too: a call takes up to three places there
    options.replica_url = replica.fresh_schema();
    PostgresFixture world({}, base::system_clock(), options);
    auto& database = world.database();
    Tester there(options.replica_url);
    const std::string port = fmt::format("{}", replica.port(Server::postgres));
    constexpr Statement where{"test.where", "SELECT CAST(inet_server_port() AS bigint)"};
    CHECK(eventually([&] {
        auto answer = run_task(database.query_stale(where, {}, far_away()));
        return answer && std::to_string((*answer)[0].integer(0)) == port;
    }));
    there.run("SELECT pg_advisory_lock(42)");
    Wave<Rows> wave;
    for (int i = 0; i < 7; ++i) {
        wave.add(database.query_stale(lock_key, bind(42), far_away()));
        CHECK_FALSE(wave.ended(0));
        // Each in a turn of its own.
        CHECK(read(database, one));
    }
    replica.kill(Server::postgres);
    wave.run();
    for (const auto& answer : wave.results)
        CHECK(answer);
}

TEST_CASE("postgres: a slow read is not taken for a silent server") {
    PostgresFixture world;
    const pid_t before = pid_of(read(world.database(), backend));
    CHECK(read(world.database(), sleep_for_seconds));
    CHECK(pid_of(read(world.database(), backend)) == before);
}

TEST_CASE("postgres: a frozen backend is left for another, its reads are asked again") {
    Services services({Server::postgres});
    auto options = options_with(1);
    options.url = services.fresh_schema();
    options.statement_timeout = milliseconds(100);
    PostgresFixture world({}, base::system_clock(), options);
    const pid_t before = pid_of(read(world.database(), backend));
    const Frozen frozen(before);
    auto answer = run_task(world.database().query(backend, {}, far_away()));
    REQUIRE(answer);
    CHECK(pid_of(answer) != before);
}

TEST_CASE("postgres: a resolver that hangs does not hold up connect_timeout") {
    auto options = options_with(1);
    options.url = "postgresql://me:secret@silent.invalid/shop";
    options.connect_timeout = milliseconds(50);
    auto metrics = observe::make_metrics();
    hold_look_ups = true;
    Home home;
    auto opening = std::async(std::launch::async, [&] {
        return run_task(
            database::open_postgres(options, home.executor(), base::system_clock(), *metrics)
        );
    });
    const auto state = opening.wait_for(std::chrono::seconds(20));
    hold_look_ups = false;
    CHECK(state == std::future_status::ready);
    auto opened = opening.get();
    REQUIRE_FALSE(opened);
    CHECK_THAT(opened.error().detail, Catch::Contains("timeout expired"));
}

TEST_CASE("postgres: a call is not left with a worker whose connection has just gone") {
    Services services({Server::postgres});
    auto options = options_with(1);
    options.url = services.fresh_schema();
    options.budget = std::make_shared<database::ConnectionBudget>(1);
    auto metrics = observe::make_metrics();
    Home home;
    auto opened =
        run_task(database::open_postgres(options, home.executor(), base::system_clock(), *metrics));
    auto database = std::move(opened).value();
    Tester admin(services.postgres_admin_url());
    Tester holder(options.url);
    // Two workers, the extra one idle for the shorter time: it is taken first.
    holder.run("SELECT pg_advisory_lock(1), pg_advisory_lock(2)");
    Rows sure;
    Rows extra;
    Wave<void> wave;
    auto waiting = [&](std::int64_t n) {
        return eventually([&] {
            wave.ended(0);
            return (*read(*database, waiting_for_locks))[0].integer(0) == n;
        });
    };
    wave.add(write_task(*database, lock_key, bind(1), far_away(), &sure));
    REQUIRE(waiting(1));
    wave.add(write_task(*database, lock_key, bind(2), far_away(), &extra));
    REQUIRE(waiting(2));
    holder.run("SELECT pg_advisory_unlock(1)");
    REQUIRE(eventually([&] { return wave.ended(0); }));
    holder.run("SELECT pg_advisory_unlock(2)");
    REQUIRE(eventually([&] { return wave.ended(1); }));

    // While the driver's thread stands still its backend goes and a call comes.
    std::promise<void> standing;
    std::promise<void> go_on;
    asio::post(home.executor(), [&] {
        standing.set_value();
        go_on.get_future().wait();
    });
    standing.get_future().wait();
    const auto pid = extra[0].integer(0);
    terminate(admin, pid);
    wave.add(write_task(*database, one, {}, far_away(), nullptr));
    CHECK_FALSE(wave.ended(2));
    go_on.set_value();
    wave.run();
    CHECK(wave.results[2]);
    database.reset();
}

namespace {

/// Loses its connection behind its last answer, in its first run.
Task<Result<void>> lose_after_answer(Transaction& tx, Tester& admin, int& runs) {
    auto answer = co_await tx.execute(backend);
    if (!answer) co_return answer.error();
    if (++runs > 1) co_return Result<void>();
    const auto pid = (*answer)[0].integer(0);
    terminate(admin, pid);
    co_return Result<void>();
}

Task<Result<void>> lose_once(Database& database, Tester& admin, int& runs) {
    TransactionBody body = [&](Transaction& tx) { return lose_after_answer(tx, admin, runs); };
    co_return co_await database.transact(std::move(body), far_away());
}

}  // namespace

TEST_CASE("postgres: a connection lost before COMMIT was sent leaves nothing unknown") {
    PostgresFixture world;
    Tester admin(Services::shared().postgres_admin_url());
    int runs = 0;
    auto done = run_task(lose_once(world.database(), admin, runs));
    CHECK(done);
    CHECK(runs == 2);
}

}  // namespace souk::test
