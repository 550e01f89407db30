// What only PostgreSQL has on the way of query(): shared connections, pipelines, types.
#include "database/postgres/lexer.hpp"
#include "postgres_world.hpp"
#include "souk/long_query.hpp"

#include <fmt/format.h>

#include <set>

namespace souk::test {
namespace {

constexpr Statement backend{"test.backend", "SELECT pg_backend_pid()"};
constexpr Statement backends{
    "test.backends", "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"};
constexpr Statement divide{"test.divide", "SELECT 100 / CAST($1 AS bigint)"};
constexpr Statement lock_key{
    "test.lock", "SELECT count(*) FROM (SELECT pg_advisory_xact_lock($1)) AS locked"};
constexpr Statement sleep_briefly{"test.sleep", "SELECT 1 FROM pg_sleep(0.02)"};
constexpr Statement sleep_for_long{"test.sleep_long", "SELECT 1 FROM pg_sleep(600)"};

const Migration table{
    "0001_t", "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, at BIGINT NOT NULL DEFAULT 0)"};

}  // namespace

TEST_CASE("postgres: many reads at once share one connection") {
    auto options = options_with(1);
    options.url = with(Services::shared().fresh_schema(), "application_name=souk-sharing");
    PostgresFixture world({}, base::system_clock(), options);
    Wave<Rows> wave;
    for (int i = 0; i < 300; ++i)
        wave.add(world.database().query(i % 7 == 0 ? sleep_briefly : backend, {}, Deadline::never())
        );
    wave.run();
    std::set<std::int64_t> pids;
    for (int i = 0; i < 300; ++i) {
        REQUIRE(wave.results[i]);
        if (i % 7 != 0) pids.insert((*wave.results[i])[0].integer(0));
    }
    CHECK(pids.size() == 1);
    // That one, and one for transactions.
    CHECK((*read(world.database(), backends, bind("souk-sharing")))[0].integer(0) == 2);
    CHECK_THAT(
        world.metrics().expose(), Catch::Contains("database_connections{kind=\"shared\"} 1")
    );
}

TEST_CASE("postgres: a failing read takes no neighbour with it") {
    PostgresFixture world;
    for (int round = 0; round < 20; ++round) {
        Wave<Rows> wave;
        for (int i = 0; i < 100; ++i)
            wave.add(world.database().query(divide, bind(i % 10), Deadline::never()));
        wave.run();
        for (int i = 0; i < 100; ++i) {
            if (i % 10 != 0) REQUIRE((*wave.results[i])[0].integer(0) == 100 / (i % 10));
            if (i % 10 == 0) REQUIRE(wave.results[i].error().kind == ErrorKind::internal);
        }
    }
}

TEST_CASE("postgres: a statement that cannot be prepared fails alone") {
    constexpr Statement wrong{"test.wrong", "SELECT nonsense FROM nowhere"};
    PostgresFixture world;
    Wave<Rows> wave;
    for (int i = 0; i < 50; ++i)
        wave.add(world.database().query(i % 2 == 0 ? wrong : backend, {}, Deadline::never()));
    wave.run();
    for (int i = 0; i < 50; ++i) {
        CHECK(wave.results[i].has_value() == (i % 2 == 1));
        if (i % 2 == 0) CHECK(wave.results[i].error().code == "sql_error");
    }
}

TEST_CASE("postgres: a late read is given up, its neighbours are not") {
    base::VirtualClock clock;
    PostgresFixture world({}, clock);
    Tester tester(world.url());
    tester.run("SELECT pg_advisory_lock(42)");
    Deadline soon(clock, milliseconds(50));
    Wave<Rows> wave;
    wave.add(world.database().query(lock_key, bind(42), soon));
    wave.add(world.database().query(backend, {}, Deadline::never()));
    REQUIRE(eventually([&] {
        clock.advance(milliseconds(10));
        return wave.ended(0);
    }));
    CHECK(wave.results[0].error().kind == ErrorKind::timeout);
    CHECK_FALSE(wave.ended(1));
    tester.run("SELECT pg_advisory_unlock(42)");
    wave.run();
    CHECK(wave.results[1]);
}

TEST_CASE("postgres: the server ends a shared read that takes too long") {
    auto options = options_with(1);
    options.statement_timeout = milliseconds(100);
    PostgresFixture world({}, base::system_clock(), options);
    Wave<Rows> wave;
    wave.add(world.database().query(backend, {}, Deadline::never()));
    wave.add(world.database().query(sleep_for_long, {}, Deadline::never()));
    wave.add(world.database().query(backend, {}, Deadline::never()));
    wave.run();
    CHECK(wave.results[0]);
    CHECK(wave.results[1].error().kind == ErrorKind::timeout);
    CHECK(wave.results[2]);
}

TEST_CASE("postgres: a long query has its deadline's time, and nobody waits behind it") {
    auto options = options_with(1);
    options.statement_timeout = milliseconds(100);
    PostgresFixture world({}, base::system_clock(), options);
    const Deadline late(base::system_clock(), seconds(20));
    constexpr Statement held{
        "test.held",
        "SELECT $1 + 0 AS key FROM (SELECT pg_advisory_xact_lock($1)) AS locked, pg_sleep(0.3)"};
    Tester tester(world.url());
    tester.run("SELECT pg_advisory_lock(42)");
    Wave<Rows> wave;
    wave.add(long_query(world.database(), held, bind(42), late));
    CHECK_FALSE(wave.ended(0));
    CHECK(read(world.database(), backend));
    CHECK_FALSE(wave.ended(0));
    tester.run("SELECT pg_advisory_unlock(42)");
    wave.run();
    REQUIRE(wave.results[0]);
    CHECK((*wave.results[0])[0].integer(0) == 42);
    CHECK_FALSE(read(world.database(), held, bind(42)));
}

TEST_CASE("postgres: waiting reads have a limit") {
    auto options = options_with(1);
    options.queue_limit = 4;
    PostgresFixture world({}, base::system_clock(), options);
    Wave<Rows> wave;
    for (int i = 0; i < 10; ++i)
        wave.add(world.database().query(sleep_briefly, {}, Deadline::never()));
    wave.run();
    for (int i = 0; i < 10; ++i) {
        CHECK(wave.results[i].has_value() == (i < 4));
        if (i < 4) continue;
        CHECK(wave.results[i].error().code == "busy");
        CHECK(wave.results[i].error().retry_after_s > 0);
    }
    CHECK(read(world.database(), backend));
}

TEST_CASE("postgres: types come as the port has them") {
    constexpr Statement types{
        "test.types",
        "SELECT sum(n), count(*) = 2, 3::smallint, 4::integer, 1.5::numeric, '\\x00ff'::bytea, "
        "NULL::bigint, $1, max(n) FROM (VALUES (9000000000::bigint), (1::bigint)) AS v (n)"};
    constexpr Statement floating{"test.float", "SELECT 0.5::float8"};
    PostgresFixture world;
    auto rows = read(world.database(), types, bind("text"));
    REQUIRE(rows);
    auto row = (*rows)[0];
    CHECK(row.integer(0) == 9000000001);
    CHECK(row.boolean(1));
    CHECK(row.integer(2) == 3);
    CHECK(row.integer(3) == 4);
    CHECK(row.text(4) == "1.5");
    CHECK(row.text(5) == std::string_view("\0\xff", 2));
    CHECK(row.is_null(6));
    CHECK(row.text(7) == "text");
    CHECK(row.integer(8) == 9000000000);
    CHECK(read(world.database(), floating).error().code == "sql_type");
}

TEST_CASE("postgres: parameters have 64 bits, or none, or text") {
    constexpr Statement any{
        "test.any", "SELECT id FROM t WHERE ($1 = 0 OR at < $1) AND ($2 = '' OR name = $2)"};
    constexpr Statement insert{"test.insert", "INSERT INTO t (id, name, at) VALUES ($1, $2, $3)"};
    PostgresFixture world({table});
    auto& database = world.database();
    REQUIRE(write(database, insert, bind(1, "one", 1'767'225'600'000'000)));
    REQUIRE(write(database, insert, bind(2, std::nullopt, 5)));
    CHECK(read(database, any, bind(0, ""))->size() == 2);
    CHECK(read(database, any, bind(1'767'225'600'000'001, ""))->size() == 2);
    CHECK(read(database, any, bind(6, ""))->size() == 1);
    CHECK(read(database, any, bind(0, "one"))->size() == 1);
    CHECK(read(database, any, bind(std::nullopt, "one"))->empty());
}

TEST_CASE("postgres: what is no text is the caller's fault, not its neighbours' nor the server's") {
    constexpr Statement insert{"test.insert", "INSERT INTO t (id, name) VALUES ($1, $2)"};
    constexpr Statement echo{"test.echo", "SELECT $1::text"};
    constexpr Statement made{"test.made", "SELECT convert_from(decode($1, 'hex'), 'UTF8')"};
    PostgresFixture world({table});
    auto& database = world.database();
    const std::string bad = GENERATE(
        std::string("on\0e", 4),
        std::string("\0", 1),
        "\xff",
        "cut \xc3",
        "\xc0\xaf",          // overlong
        "\xed\xa0\x80",      // a surrogate
        "\xf4\x90\x80\x80",  // beyond Unicode
        "plain \xe2\x82\xac and \xe2\x28\xa1"
    );
    Wave<Rows> wave;
    for (int i = 0; i < 9; ++i)
        wave.add(database.query(echo, bind(i % 3 == 1 ? bad : "good"), Deadline::never()));
    wave.run();
    for (int i = 0; i < 9; ++i) {
        if (i % 3 != 1) {
            REQUIRE(wave.results[i]);
            CHECK((*wave.results[i])[0].text(0) == "good");
            continue;
        }
        REQUIRE(wave.results[i].has_error());
        CHECK(wave.results[i].error().kind == ErrorKind::invalid);
        CHECK(wave.results[i].error().code == "invalid_text");
    }
    auto written = write(database, insert, bind(1, bad));
    REQUIRE(written.has_error());
    CHECK(written.error().kind == ErrorKind::invalid);
    CHECK(write(database, insert, bind(1, "\xf0\x9f\x9b\x92 \xe2\x82\xac")));

    auto found = read(database, made, bind("6fff"));  // by the server itself
    REQUIRE(found.has_error());
    CHECK(found.error().kind == ErrorKind::invalid);
    CHECK(found.error().detail.find("test.made") == std::string::npos);
}

TEST_CASE("postgres: a table may change under prepared statements") {
    constexpr Statement all{"test.all_columns", "SELECT * FROM t"};
    constexpr Statement add{"test.add_column", "ALTER TABLE t ADD COLUMN more TEXT"};
    PostgresFixture world({table});
    auto& database = world.database();
    REQUIRE(read(database, all));
    REQUIRE(write(database, all));
    REQUIRE(write(database, add));
    CHECK(read(database, all));
    CHECK(write(database, all));
}

TEST_CASE("postgres: one name, one text") {
    constexpr Statement one{"test.same", "SELECT 1"};
    constexpr Statement other{"test.same", "SELECT 2"};
    PostgresFixture world;
    REQUIRE(read(world.database(), one));
    CHECK_THROWS_AS(read(world.database(), other), std::logic_error);
    CHECK(read(world.database(), one));
    REQUIRE(write(world.database(), one));
    CHECK_THROWS_AS(write(world.database(), other), std::logic_error);
}

TEST_CASE("postgres: scripts are split where PostgreSQL ends a statement") {
    using database::postgres::split_script;
    using Texts = std::vector<std::string>;
    CHECK(split_script(" \n -- nothing; here\n /* ; */ ;").empty());
    CHECK(split_script("a; b") == Texts{"a", " b"});
    CHECK(split_script("a ';' b;") == Texts{"a ';' b"});
    CHECK(split_script("a 'it''s; b';c") == Texts{"a 'it''s; b'", "c"});
    CHECK(split_script("a E'\\'; b';c") == Texts{"a E'\\'; b'", "c"});
    CHECK(split_script("a '\\'; b") == Texts{"a '\\'", " b"});
    CHECK(split_script("a \"x;\"\"y\"; b") == Texts{"a \"x;\"\"y\"", " b"});
    CHECK(split_script("/* ; /* ; */ ; */ a;") == Texts{"/* ; /* ; */ ; */ a"});
    CHECK(split_script("$$ ; $$; b") == Texts{"$$ ; $$", " b"});
    CHECK(split_script("$x$ ; $$ ; $x$; b") == Texts{"$x$ ; $$ ; $x$", " b"});
    CHECK(split_script("a$b; c$d") == Texts{"a$b", " c$d"});
    CHECK(split_script("x = $1; y") == Texts{"x = $1", " y"});
}

TEST_CASE("postgres: parameters are counted outside quotes and comments") {
    using database::postgres::highest_parameter;
    CHECK(highest_parameter("SELECT 1") == 0);
    CHECK(highest_parameter("$2 $12 $1") == 12);
    CHECK(highest_parameter("'$3' \"$4\" /* $5 */ $1 -- $6") == 1);
    CHECK(highest_parameter("$$ $7 $$ a$8") == 0);
}

}  // namespace souk::test
