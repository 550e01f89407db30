// How the doctor judges what it found; that it finds it, tests/topology/doctor.cpp shows.
#include "host/diagnosis_servers.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using host::Verdict;

TEST_CASE("a schema is judged by its worst fault") {
    database::SchemaState schema;
    CHECK(host::judge_schema("s", schema).verdict == Verdict::ok);
    CHECK(host::judge_schema("s", schema).detail == "up to date");
    schema.missing = {"0002_more"};
    CHECK(host::judge_schema("s", schema).verdict == Verdict::ok);
    CHECK_THAT(host::judge_schema("s", schema).detail, Catch::Contains("0002_more"));
    schema.unknown = {"0009_future"};
    CHECK(host::judge_schema("s", schema).verdict == Verdict::warn);
    CHECK_THAT(host::judge_schema("s", schema).detail, Catch::Contains("0009_future"));
    schema.changed = {"0001_first"};
    CHECK(host::judge_schema("s", schema).verdict == Verdict::fail);
    CHECK_THAT(host::judge_schema("s", schema).detail, Catch::Contains("0001_first"));
    schema.unknown = {"0009_future", "0010_contract_it"};
    const host::Check newer = host::judge_schema("s", schema);
    CHECK(newer.verdict == Verdict::fail);
    CHECK_THAT(newer.detail, Catch::Contains("0010_contract_it"));
    CHECK(!newer.mend.empty());
}

TEST_CASE("a clock is judged by what the time of the question cannot explain") {
    const Timestamp from = from_micros(1'000'000'000'000);
    const Timestamp to = from + seconds(3);
    CHECK(host::judge_clock(from, from + seconds(2), to).verdict == Verdict::ok);
    CHECK(host::judge_clock(from, to + milliseconds(900), to).verdict == Verdict::ok);
    const host::Check behind = host::judge_clock(from, to + seconds(2), to);
    CHECK(behind.verdict == Verdict::warn);
    CHECK_THAT(behind.detail, Catch::Contains("2000 ms behind"));
    // A relay's lease is 5 s: a clock that is wrong by most of it takes over what is held.
    const host::Check ahead = host::judge_clock(from, from - seconds(3), to);
    CHECK(ahead.verdict == Verdict::fail);
    CHECK_THAT(ahead.detail, Catch::Contains("3000 ms ahead"));
    CHECK_THAT(ahead.detail, Catch::Contains("duplicates are absorbed"));
    CHECK(host::judge_clock(from, to + milliseconds(2999), to).verdict == Verdict::warn);
    CHECK(host::judge_clock(from, to + milliseconds(3000), to).verdict == Verdict::fail);
}

TEST_CASE("a Redis that refuses writes when it is full is told") {
    CHECK(host::judge_eviction("allkeys-lru", "1000").verdict == Verdict::ok);
    CHECK(host::judge_eviction("noeviction", "0").verdict == Verdict::warn);
    const host::Check limited = host::judge_eviction("noeviction", "1000");
    CHECK(limited.verdict == Verdict::warn);
    CHECK_THAT(limited.detail, Catch::Contains("1000 bytes"));
}

TEST_CASE("one database for several modules is told, for one module it is right") {
    host::ConfigInput input;
    input.environment = {
        {"DATABASE_URL", "postgresql://souk_{module}@db/souk_{module}"},
        {"RABBITMQ_URL", "amqp://broker"}};
    CHECK(host::check_postgres_urls(*host::Config::load(input), 5).empty());
    input.flags.emplace_back("--set", "postgres.replica_url=postgresql://db/souk_order");
    const auto config = host::Config::load(input);
    REQUIRE(host::check_postgres_urls(*config, 5).size() == 1);
    CHECK(host::check_postgres_urls(*config, 5).front().name == "postgres.replica_url");
    CHECK(host::check_postgres_urls(*config, 1).empty());
}
