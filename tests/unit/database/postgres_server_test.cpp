// The PostgreSQL driver and its server: gone and back, wrong, read-only, a replica, other
// passwords.
#include "postgres_world.hpp"
#include "support/temp_folder.hpp"

#include <fmt/format.h>

#include <fstream>

namespace souk::test {
namespace {

constexpr Statement one{"test.one", "SELECT 1"};
constexpr Statement insert{"test.insert", "INSERT INTO t (id) VALUES ($1)"};
constexpr Statement rows{"test.rows", "SELECT count(*) FROM t"};
const Migration table{"0001_t", "CREATE TABLE t (id BIGINT PRIMARY KEY)"};

/// The parts of postgresql://user:password@host:port/database?...
struct Url {
    explicit Url(const std::string& text) {
        auto login = text.find("://") + 3;
        auto at = text.find('@');
        auto slash = text.find('/', at);
        auto end = text.find('?');
        user = text.substr(login, text.find(':', login) - login);
        server = text.substr(at + 1, slash - at - 1);
        database = text.substr(slash + 1, end - slash - 1);
    }
    std::string with_login(const std::string& name, const std::string& password) const {
        return fmt::format("postgresql://{}:{}@{}/{}", name, password, server, database);
    }
    std::string user, server, database;
};

Result<void> try_open(database::PostgresOptions options) {
    auto metrics = observe::make_metrics();
    Home home;
    auto opened =
        run_task(database::open_postgres(options, home.executor(), base::system_clock(), *metrics));
    if (!opened) return opened.error();
    return {};
}

std::string open_fault(const std::string& url) {
    auto options = options_with(1);
    options.url = url;
    options.connect_timeout = milliseconds(2000);
    auto opened = try_open(options);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == ErrorKind::unavailable);
    CHECK(opened.error().code == "database_open");
    CHECK_THAT(opened.error().detail, !Catch::Contains("secret"));
    CHECK_THAT(opened.error().detail, !Catch::Contains("me:"));
    return opened.error().detail;
}

}  // namespace

TEST_CASE("postgres: what is wrong at the start is told, with its mend and no password") {
    const Url url(Services::shared().postgres_admin_url());
    using Catch::Contains;
    CHECK_THAT(
        open_fault("postgresql://me:secret@127.0.0.1:1/shop"),
        Contains("127.0.0.1:1") && Contains("start it")
    );
    CHECK_THAT(
        open_fault(url.with_login("postgres", "secret")),
        Contains("password of role postgres") && Contains("password_file")
    );
    CHECK_THAT(open_fault(url.with_login("nobody_here", "secret")), Contains("nobody_here"));
    CHECK_THAT(
        open_fault("postgresql://me:secret@nowhere.invalid/shop"),
        Contains("nowhere.invalid") && Contains("no such host")
    );
    CHECK_THAT(open_fault("postgresql://me:secret@host:nonsense/shop"), Contains("malformed"));
    CHECK_THAT(open_fault("postgresql://me:sec/secret@host/shop"), Contains("malformed"));
    std::string missing = Services::shared().postgres_admin_url();
    missing = missing.substr(0, missing.rfind('/')) + "/no_such_shop";
    CHECK_THAT(open_fault(missing), Contains("CREATE DATABASE no_such_shop OWNER postgres"));
    CHECK_THAT(
        open_fault(with(Services::shared().postgres_admin_url(), "sslmode=require")),
        Contains("sslmode")
    );
    std::string no_schema =
        with(Services::shared().postgres_admin_url(), "options=-csearch_path%3Dno");
    CHECK_THAT(open_fault(no_schema), Contains("create tables"));
}

TEST_CASE("postgres: a role that may not enter its database is told the grant that it lacks") {
    const Url url(Services::shared().fresh_schema());
    Tester admin(Services::shared().postgres_admin_url());
    admin.run("CREATE ROLE stranger LOGIN PASSWORD 'sesame'");
    auto words =
        open_fault(fmt::format("postgresql://stranger:sesame@{}/{}", url.server, url.database));
    CHECK_THAT(
        words,
        Catch::Contains(fmt::format("GRANT CONNECT ON DATABASE {} TO stranger", url.database))
    );
    admin.run("DROP ROLE stranger");
}

TEST_CASE("postgres: a password may change while it runs") {
    Tester admin(Services::shared().postgres_admin_url());
    const Url url(Services::shared().fresh_schema());
    admin.run("CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'first'");
    TempFolder folder;
    auto options = options_with(1);
    options.url = fmt::format("postgresql://rotating@{}/{}", url.server, url.database);
    options.password_file = folder.path() / "password";
    auto write_password = [&](const std::string& text) {
        std::ofstream(options.password_file) << text << "\n";
    };
    auto fault = try_open(options);
    CHECK_THAT(fault.error().detail, Catch::Contains(options.password_file.string()));
    write_password("first");
    {
        PostgresFixture world({}, base::system_clock(), options);
        admin.run("ALTER ROLE rotating PASSWORD 'second'");
        write_password("second");
        admin.run(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE usename = 'rotating'"
        );
        CHECK(eventually([&] { return read(world.database(), one) && write(world.database(), one); }
        ));
    }
    CHECK(eventually([&] {
        return admin.run("SELECT count(*) FROM pg_stat_activity WHERE usename = 'rotating'") == "0";
    }));
    std::string there = Services::shared().postgres_admin_url();
    Tester(there.substr(0, there.rfind('/') + 1) + url.database)
        .run("DROP OWNED BY rotating CASCADE; DROP ROLE rotating");
}

TEST_CASE("postgres: while the server is away calls fail at once, then all works again") {
    Services services({Server::postgres});
    auto options = options_with(2);
    options.url = services.fresh_schema();
    PostgresFixture world({table}, base::system_clock(), options);
    auto& database = world.database();
    for (int round = 1; round <= 3; ++round) {
        CHECK(database.fault().empty());
        services.kill(Server::postgres);
        CHECK(eventually([&] { return !database.fault().empty(); }));
        auto refused = read(database, one);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == ErrorKind::unavailable);
        CHECK(refused.error().retry_after_s == 1);
        auto unwritten = write(database, insert, bind(100 + round));
        REQUIRE_FALSE(unwritten);
        CHECK(unwritten.error().kind == ErrorKind::unavailable);
        CHECK(unwritten.error().code != "commit_unknown");
        services.start(Server::postgres);
        CHECK(eventually([&] { return read(database, one) && write(database, one); }));
        CHECK(write(database, insert, bind(round)));
        CHECK((*read(database, rows))[0].integer(0) == round);
    }
}

TEST_CASE("postgres: a server that became read-only is left") {
    Services services({Server::postgres});
    auto options = options_with(1);
    options.url = services.fresh_schema();
    PostgresFixture world({table}, base::system_clock(), options);
    Tester admin(services.postgres_admin_url());
    auto set_read_only = [&](const std::string& value) {
        admin.run("ALTER SYSTEM SET default_transaction_read_only = " + value);
        admin.run("SELECT pg_reload_conf()");
    };
    set_read_only("on");
    CHECK(eventually([&] {
        auto done = write(world.database(), insert, bind(1));
        return !done && done.error().code == "read_only";
    }));
    admin.run("SET default_transaction_read_only = off");
    set_read_only("off");
    CHECK(eventually([&] { return write(world.database(), insert, bind(2)).has_value(); }));
}

TEST_CASE("postgres: target_session_attrs finds the server that writes") {
    Services standby({Server::postgres});
    Tester admin(standby.postgres_admin_url());
    admin.run("ALTER SYSTEM SET default_transaction_read_only = on");
    admin.run("SELECT pg_reload_conf()");
    std::string url = Services::shared().fresh_schema();
    const std::string other = fmt::format("127.0.0.1:{},", standby.port(Server::postgres));
    url.insert(url.find('@') + 1, other);
    // The password is of the other server: a role that both know.
    Tester(Services::shared().postgres_admin_url())
        .run("DROP ROLE IF EXISTS twin; CREATE ROLE twin LOGIN SUPERUSER PASSWORD 'twin'");
    admin.run("SET default_transaction_read_only = off");
    admin.run("CREATE ROLE twin LOGIN SUPERUSER PASSWORD 'twin'");
    url.replace(url.find("://") + 3, url.find('@') - url.find("://") - 3, "twin:twin");
    std::string database = Url(url).database;
    Tester(standby.postgres_admin_url()).run("SELECT 1");
    if (admin.run(fmt::format("SELECT count(*) FROM pg_database WHERE datname = '{}'", database)) ==
        "0")
        admin.run("CREATE DATABASE " + database);
    auto options = options_with(1);
    options.url = with(url, "target_session_attrs=read-write");
    PostgresFixture world({table}, base::system_clock(), options);
    CHECK(write(world.database(), insert, bind(1)));
}

TEST_CASE("postgres: stale reads go to the replica while it answers, all others never") {
    // A schema of another content stands in for a replica that lags.
    Services replica({Server::postgres});
    auto options = options_with(1);
    options.replica_url = replica.fresh_schema();
    Tester(options.replica_url).run("CREATE TABLE t (id BIGINT)");
    PostgresFixture world({table}, base::system_clock(), options);
    auto& database = world.database();
    REQUIRE(write(database, insert, bind(1)));
    auto stale = [&] {
        auto answer = run_task(database.query_stale(rows, {}, Deadline::never()));
        REQUIRE(answer);
        return (*answer)[0].integer(0);
    };
    CHECK(eventually([&] { return stale() == 0; }));
    CHECK((*read(database, rows))[0].integer(0) == 1);
    replica.kill(Server::postgres);
    for (int i = 0; i < 50; ++i)
        REQUIRE(stale() == 1);
    CHECK(database.fault().empty());
    replica.start(Server::postgres);
    CHECK(eventually([&] { return stale() == 0; }));
}

TEST_CASE("postgres: a replica that is away at the start is no reason not to start") {
    auto options = options_with(1);
    options.replica_url = "postgresql://me:secret@127.0.0.1:1/shop";
    PostgresFixture world({table}, base::system_clock(), options);
    CHECK(run_task(world.database().query_stale(rows, {}, Deadline::never())));
}

TEST_CASE("postgres: may be destroyed when nobody runs its home any more") {
    auto metrics = observe::make_metrics();
    auto options = options_with(2);
    options.url = with(Services::shared().fresh_schema(), "application_name=souk-gone");
    {
        asio::io_context context;
        auto work = asio::make_work_guard(context);
        std::thread thread([&] { context.run(); });
        auto opened = run_task(
            database::open_postgres(options, context.get_executor(), base::system_clock(), *metrics)
        );
        REQUIRE(opened);
        context.stop();
        thread.join();
        opened->reset();
    }
    Tester tester(Services::shared().postgres_admin_url());
    CHECK(eventually([&] {
        return tester.run(
                   "SELECT count(*) FROM pg_stat_activity "
                   "WHERE application_name = 'souk-gone'"
               ) == "0";
    }));
    CHECK_THAT(metrics->expose(), Catch::Contains("database_connections{kind=\"transaction\"} 0"));
}

TEST_CASE("postgres: eight processes may migrate at once") {
    auto options = options_with(1);
    options.url = Services::shared().fresh_schema();
    const Migration slow{"0002_slow", "SELECT pg_sleep(0.05); CREATE TABLE u (x TEXT)"};
    auto metrics = observe::make_metrics();
    Home home;
    std::vector<std::unique_ptr<Database>> replicas;
    for (int i = 0; i < 8; ++i)
        replicas.push_back(run_task(database::open_postgres(
                                        options, home.executor(), base::system_clock(), *metrics
                                    ))
                               .value());
    Wave<database::MigrationReport> wave;
    for (auto& replica : replicas)
        wave.add(database::migrate(*replica, base::system_clock(), {table, slow}));
    wave.run();
    std::vector<std::string> applied;
    for (const auto& report : wave.results) {
        REQUIRE(report);
        applied.insert(applied.end(), report->applied.begin(), report->applied.end());
    }
    auto names = database::kernel_migrations().size() + 2;
    CHECK(applied.size() == names);
    replicas.clear();
}

}  // namespace souk::test
