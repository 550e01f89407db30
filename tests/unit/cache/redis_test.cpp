// What only Redis can do to the cache and the limiter; what they promise is in tests/contract.
#include "base/virtual_clock.hpp"
#include "unit/cache/redis_console.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include <future>
#include <vector>

using namespace souk;
using namespace souk::test;

namespace {

using Replica = std::unique_ptr<RedisReplica>;

/// One for all that do it no harm. Only Redis: Services::shared() starts the others, too.
std::string shared_url() {
    static const Services services({Server::redis});
    return services.redis_url();
}
cache::RedisOptions shared_options(std::string prefix = unique_prefix()) {
    return RedisReplica::options(shared_url(), std::move(prefix));
}

/// Keeps the connection's thread from doing anything as long as it lives.
class Held {
public:
    explicit Held(HomeThread& home) {
        asio::post(home.executor(), [gone = released_.get_future().share()] { gone.wait(); });
    }
    ~Held() { released_.set_value(); }

private:
    std::promise<void> released_;
};

/// `count` reads that are all asked before the first is sent; how many found something.
int read_together(RedisReplica& replica, int count) {
    int found = 0;
    std::vector<std::string> keys;
    for (int i = 0; i < count; ++i)
        keys.push_back("k" + std::to_string(i));
    for (const auto& key : keys)
        asio::co_spawn(
            replica.context,
            replica.cache().get(key),
            [&found](const std::exception_ptr&, const std::optional<std::string>& value) {
                found += value ? 1 : 0;
            }
        );
    replica.context.restart();
    {
        const Held held(replica.home());
        replica.context.poll();
    }
    replica.context.run();
    return found;
}

constexpr const char* process_hits = R"(cache_requests_total{result="hit",tier="process"})";
constexpr const char* redis_hits = R"(cache_requests_total{result="hit",tier="redis"})";
constexpr const char* redis_away = R"(cache_requests_total{result="away",tier="redis"})";

/// Reads until the value comes from the process's own tier; a write's echo may still drop it first.
void read_into_tier(RedisReplica& replica, const std::string& key, const std::string& value) {
    const double before = replica.metric(process_hits);
    RedisReplica::until([&] {
        CHECK(replica.get(key) == value);
        return replica.metric(process_hits) > before;
    });
}

}  // namespace

TEST_CASE("commands of many share a write", "[redis]") {
    const Replica replica = RedisReplica::connected(shared_options());
    replica->get("k");  // Redis has the script from now on: else each read comes again, by itself
    const double commands = replica->metric("redis_commands_total");
    const double writes = replica->metric("redis_writes_total");
    CHECK(read_together(*replica, 2000) == 0);
    const double sent = replica->metric("redis_commands_total") - commands;
    CHECK(sent >= 2000);
    CHECK(sent / (replica->metric("redis_writes_total") - writes) > 4);
}

TEST_CASE("what was read lately is in this process, until another replica erases it", "[redis]") {
    base::VirtualClock still;  // so nothing leaves the tier by its age
    const auto prefix = unique_prefix();
    const Replica writer = RedisReplica::connected(shared_options(prefix));
    const Replica reader = RedisReplica::connected(shared_options(prefix), still);
    writer->put("a", "1");
    read_into_tier(*reader, "a", "1");
    writer->erase("a");
    RedisReplica::until([&] { return !reader->get("a"); });
    writer->put("a", "2");
    read_into_tier(*reader, "a", "2");
    writer->put("a", "3");
    RedisReplica::until([&] { return reader->get("a") == "3"; });

    reader->erase("a");
    CHECK_FALSE(reader->get("a"));  // its own at once
}

TEST_CASE("nothing stays in the process longer than moments", "[redis]") {
    base::VirtualClock clock;
    const auto prefix = unique_prefix();
    const Replica reader = RedisReplica::connected(shared_options(prefix), clock);
    RedisConsole console(shared_url());
    reader->put("a", "1");
    read_into_tier(*reader, "a", "1");
    // Behind everybody's back, as a cache that forgets.
    console.send({"DEL", prefix + "cache:a"});
    CHECK(reader->get("a") == "1");
    clock.advance(milliseconds(2000));
    CHECK_FALSE(reader->get("a"));
}

TEST_CASE("who does not hear of writes any more does without the tier", "[redis]") {
    Services own({Server::redis});
    base::VirtualClock still;  // so it does not connect again before it is told to
    const auto options = RedisReplica::options(own.redis_url());
    const Replica writer = RedisReplica::connected(options);
    const Replica reader = RedisReplica::connected(options, still);
    RedisConsole console(own.redis_url());
    writer->put("a", "1");
    read_into_tier(*reader, "a", "1");

    console.disconnect("pubsub");
    reader->until_away();
    writer->put("a", "2");
    CHECK(reader->get("a") == "2");
    const double hits = reader->metric(redis_hits);
    CHECK(reader->get("a") == "2");
    CHECK(reader->metric(redis_hits) == hits + 1);

    const auto found = reader->run(reader->cache().nearby().lookup("b", seconds(2)));
    reader->run(reader->cache().nearby().fill("b", found.lease, "1", seconds(2)));
    CHECK_FALSE(reader->run(reader->cache().nearby().get("b")));

    RedisReplica::until([&] {
        still.advance(milliseconds(100));
        return reader->redis().fault().empty();
    });
    read_into_tier(*reader, "a", "2");
}

TEST_CASE("a value read from the database before another's commit stays out", "[redis]") {
    const auto prefix = unique_prefix();
    const Replica writer = RedisReplica::connected(shared_options(prefix));
    const Replica reader = RedisReplica::connected(shared_options(prefix));
    ReadThrough through(reader->cache(), reader->clock());
    int loads = 0;
    ReadThrough::Load load = [&]() -> Task<Result<std::string>> {
        if (++loads > 1) co_return std::string("new");
        writer->erase("a");  // it commits while the old value is on its way
        co_return std::string("old");
    };
    const auto read = [&] {
        return reader->run(through.read("a", seconds(60), Deadline::never(), load)).value();
    };
    CHECK(read() == "old");
    CHECK(read() == "new");
    CHECK(read() == "new");
    CHECK(loads == 2);
}

TEST_CASE("a thousand who miss a cold key on two replicas load once", "[redis]") {
    const auto prefix = unique_prefix();
    std::vector<Replica> replicas;
    std::vector<std::unique_ptr<ReadThrough>> through;
    std::atomic<int> loads = 0;
    int answered = 0;
    ReadThrough::Load load = [&]() -> Task<Result<std::string>> {
        ++loads;
        co_return std::string("value");
    };
    asio::io_context context;
    for (int r = 0; r < 2; ++r) {
        replicas.push_back(RedisReplica::connected(shared_options(prefix)));
        through.push_back(std::make_unique<ReadThrough>(replicas[r]->cache(), replicas[r]->clock())
        );
    }
    for (int i = 0; i < 1000; ++i)
        asio::co_spawn(
            context,
            through[i % 2]->read("cold", seconds(60), Deadline::never(), load),
            [&answered](const std::exception_ptr&, const Result<std::string>& value) {
                answered += value && *value == "value" ? 1 : 0;
            }
        );
    context.run();
    CHECK(answered == 1000);
    CHECK(loads == 1);
}

TEST_CASE("what lives for a moment costs Redis nothing, and ends with a write", "[redis]") {
    base::VirtualClock still;
    const auto prefix = unique_prefix();
    const Replica writer = RedisReplica::connected(shared_options(prefix));
    const Replica reader = RedisReplica::connected(shared_options(prefix), still);
    ReadThrough through(reader->cache(), reader->clock());
    std::string in_database = "old";
    int loads = 0;
    ReadThrough::Load load = [&]() -> Task<Result<std::string>> {
        ++loads;
        co_return in_database;
    };
    const auto read = [&](const std::string& key) {
        return reader->run(through.read(key, seconds(1), Deadline::never(), load)).value();
    };
    RedisReplica::until([&] {
        const int before = loads;
        read("warm");
        return loads == before;  // the tier is open
    });
    const double asked = reader->metric("redis_commands_total");
    loads = 0;
    CHECK(read("a") == "old");
    CHECK(read("a") == "old");
    CHECK(loads == 1);
    CHECK(reader->metric("redis_commands_total") == asked);
    CHECK_FALSE(writer->get("a"));

    in_database = "new";
    writer->erase("a");
    RedisReplica::until([&] { return read("a") == "new"; });
    in_database = "newer";
    reader->erase("a");
    CHECK(read("a") == "newer");  // its own at once
    still.advance(milliseconds(1200));
    in_database = "newest";
    CHECK(read("a") == "newest");
}

TEST_CASE("a value of a moment, read before another's commit, stays out", "[redis]") {
    const auto prefix = unique_prefix();
    const Replica writer = RedisReplica::connected(shared_options(prefix));
    const Replica reader = RedisReplica::connected(shared_options(prefix));
    Cache& nearby = reader->cache().nearby();
    RedisReplica::until([&] {
        const auto found = reader->run(nearby.lookup("warm", seconds(2)));
        if (found.lease != 0) reader->run(nearby.fill("warm", found.lease, "1", seconds(2)));
        return found.value.has_value();
    });
    const auto asked = reader->run(nearby.lookup("a", seconds(2)));
    REQUIRE(asked.lease != 0);
    reader->run(nearby.fill("b", reader->run(nearby.lookup("b", seconds(2))).lease, "1", seconds(2))
    );
    writer->erase("a");  // it commits while the old value is on its way
    writer->erase("b");
    RedisReplica::until([&] { return !reader->run(nearby.get("b")); });  // heard of both
    reader->run(nearby.fill("a", asked.lease, "old", seconds(2)));
    CHECK_FALSE(reader->run(nearby.get("a")));
}

TEST_CASE("scripts that Redis forgot are told again", "[redis]") {
    const Replica replica = RedisReplica::connected(shared_options());
    RedisConsole console(shared_url());
    replica->put("a", "1");
    for (const char* how : {"SYNC", "ASYNC"}) {
        console.send({"SCRIPT", "FLUSH", how});
        replica->put("a", how);
        console.send({"SCRIPT", "FLUSH", how});
        CHECK(replica->get("a") == how);
        console.send({"SCRIPT", "FLUSH", how});
        CHECK(replica->take(how, 1, seconds(60)).allowed);
        CHECK_FALSE(replica->take(how, 1, seconds(60)).allowed);
    }
    CHECK(replica->redis().fault().empty());
}

TEST_CASE("a Redis that was emptied is an empty cache", "[redis]") {
    Services own({Server::redis});
    const Replica replica = RedisReplica::connected(RedisReplica::options(own.redis_url()));
    RedisConsole console(own.redis_url());
    replica->put("a", "1");
    const auto found = replica->run(replica->cache().lookup("b", seconds(60)));
    console.send({"FLUSHALL"});
    CHECK_FALSE(replica->get("a"));
    replica->run(replica->cache().fill("b", found.lease, "1", seconds(60)));
    CHECK_FALSE(replica->get("b"));
    replica->put("a", "2");
    CHECK(replica->get("a") == "2");
}

TEST_CASE("what others put under our keys is a miss", "[redis]") {
    const auto prefix = unique_prefix();
    const Replica replica = RedisReplica::connected(shared_options(prefix));
    RedisConsole console(shared_url());
    console.send({"SET", prefix + "cache:a", "no mark"});
    console.send({"SET", prefix + "cache:b", ""});
    console.send({"LPUSH", prefix + "cache:c", "a list"});
    console.send({"SET", prefix + "rate:d", "rubbish"});
    for (const char* key : {"a", "b", "c"})
        CHECK_FALSE(replica->get(key));
    CHECK(replica->take("d", 5, seconds(60)).allowed);
}

TEST_CASE("who comes often is not asked for each time, and never gets more", "[redis]") {
    base::VirtualClock still;
    const auto prefix = unique_prefix();
    const Replica one = RedisReplica::connected(shared_options(prefix), still);
    const Replica two = RedisReplica::connected(shared_options(prefix), still);
    constexpr int limit = 3200;
    const auto allowed = [&](RedisReplica& replica, int tries) {
        int count = 0;
        for (int i = 0; i < tries; ++i)
            count += replica.take("k", limit, seconds(36'000)).allowed ? 1 : 0;
        return count;
    };
    still.advance(seconds(1));
    CHECK(allowed(*one, 50) == 50);
    still.advance(milliseconds(100));
    const double asked = one->metric("redis_commands_total");
    const auto before = one->take("k", limit, seconds(36'000)).remaining;  // takes more ahead
    CHECK(allowed(*one, 48) == 48);
    CHECK(one->take("k", limit, seconds(36'000)).remaining == before - 49);
    CHECK(one->metric("redis_commands_total") == asked + 1);

    // What is left of those when their time is over is lost, and what two replicas give out
    // together is the limit at most.
    still.advance(milliseconds(100));
    CHECK(allowed(*one, 1) == 1);
    still.advance(milliseconds(100));
    int sum = 101;
    for (int round = 0; round < 40; ++round) {
        sum += allowed(*one, 60) + allowed(*two, 60);
        still.advance(milliseconds(100));
    }
    CHECK(sum <= limit);
    CHECK(sum > limit * 8 / 10);
    CHECK_FALSE(two->take("k", limit, seconds(36'000)).allowed);
}

TEST_CASE("keys of the limiter leave by themselves", "[redis]") {
    const auto prefix = unique_prefix();
    const Replica replica = RedisReplica::connected(shared_options(prefix));
    RedisConsole console(shared_url());
    replica->take("a", 10, seconds(100));
    const auto left = console.send({"PTTL", prefix + "rate:a"}).integer;
    CHECK(left > 0);
    CHECK(left <= 10'000);  // one of ten tokens is out
}

TEST_CASE("a bucket is not frozen when the server's clock steps back", "[redis]") {
    const auto prefix = unique_prefix();
    const Replica replica = RedisReplica::connected(shared_options(prefix));
    RedisConsole console(shared_url());
    console.send({"SET", prefix + "rate:a", "2 99999999999999999"});  // two out, in a far future
    CHECK_FALSE(replica->take("a", 2, seconds(1)).allowed);
    std::this_thread::sleep_for(seconds(1));
    CHECK(replica->take("a", 2, seconds(1)).allowed);
}

TEST_CASE("more than it may have under way is missed at once", "[redis]") {
    const Replica replica = RedisReplica::connected(shared_options());
    for (int i = 0; i < 6000; ++i)
        asio::co_spawn(
            replica->context,
            replica->cache().get("k"),
            [](const std::exception_ptr&, const std::optional<std::string>&) {}
        );
    RedisConsole console(shared_url());
    console.send({"CLIENT", "PAUSE", "200", "ALL"});
    replica->context.restart();
    replica->context.run();
    CHECK(replica->metric(redis_away) >= 6000 - 4096);
    replica->put("k", "1");
    CHECK(replica->get("k") == "1");
}

TEST_CASE("it may go on any thread, whether its home runs or has stopped", "[redis]") {
    for (const bool stopped : {false, true}) {
        const Replica replica = RedisReplica::connected(shared_options());
        replica->put("a", "1");
        if (stopped) replica->home().stop();
        std::thread([&] { replica->close(); }).join();
    }
}

TEST_CASE("who asks may be gone with its whole context", "[redis]") {
    const Replica replica = RedisReplica::connected(shared_options());
    for (int i = 0; i < 100; ++i) {
        asio::io_context other;
        auto ask = replica->cache().get("k");
        asio::co_spawn(other, std::move(ask), [](const std::exception_ptr&, const auto&) {});
        other.poll();
    }
    replica->put("a", "1");
    CHECK(replica->get("a") == "1");
}
