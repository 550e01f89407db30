// What every Cache and RateLimiter promises, run on each implementation. To add one: a factory that
// makes a CacheFixture, and its name in `factories`.
#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "souk/cache.hpp"
#include "support/run_task.hpp"
#include "unit/cache/redis_world.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <string>
#include <thread>

using namespace souk;

namespace {

/// An empty cache and limiter, and a way to let time pass for them (a server: by waiting).
class CacheFixture {
public:
    virtual ~CacheFixture() = default;
    virtual Cache& cache() = 0;
    virtual RateLimiter& limiter() = 0;
    virtual void pass(milliseconds time) = 0;

    std::optional<std::string> get(std::string_view key) {
        return test::run_task(context_, cache().get(key));
    }
    void put(std::string_view key, std::string value, milliseconds ttl) {
        test::run_task(context_, cache().put(key, std::move(value), ttl));
    }
    void erase(std::string_view key) { test::run_task(context_, cache().erase(key)); }
    CacheLookup lookup(std::string_view key, milliseconds lease_ttl = seconds(60)) {
        return test::run_task(context_, cache().lookup(key, lease_ttl));
    }
    void fill(std::string_view key, std::uint64_t lease, std::string value) {
        test::run_task(context_, cache().fill(key, lease, std::move(value), seconds(60)));
    }
    void abandon(std::string_view key, std::uint64_t lease) {
        test::run_task(context_, cache().abandon(key, lease));
    }
    RateDecision take(std::string_view key, std::int64_t limit, seconds window) {
        return test::run_task(context_, limiter().take(key, limit, window));
    }

protected:
    asio::io_context context_;
};

class MemoryFixture final : public CacheFixture {
public:
    Cache& cache() override { return *cache_; }
    RateLimiter& limiter() override { return *limiter_; }
    void pass(milliseconds time) override { clock_.advance(time); }

private:
    base::VirtualClock clock_;
    std::unique_ptr<Cache> cache_ = cache::make_memory_cache(clock_, 1 << 20);
    std::unique_ptr<RateLimiter> limiter_ = cache::make_memory_rate_limiter(clock_, 1000);
};

/// Keys of its own on the server of this test run.
class RedisFixture final : public CacheFixture {
public:
    Cache& cache() override { return replica_->cache(); }
    RateLimiter& limiter() override { return replica_->limiter(); }
    void pass(milliseconds time) override { std::this_thread::sleep_for(time); }

private:
    std::unique_ptr<test::RedisReplica> replica_ = test::RedisReplica::connected(
        test::RedisReplica::options(test::Services::shared().redis_url())
    );
};

using Factory = std::pair<std::string, std::function<std::unique_ptr<CacheFixture>()>>;

std::vector<Factory> factories() {
    return {
        Factory("memory", [] { return std::make_unique<MemoryFixture>(); }),
        Factory("redis", [] { return std::make_unique<RedisFixture>(); }),
    };
}

std::unique_ptr<CacheFixture> make_fixture() {
    auto all = factories();
    auto index = GENERATE_COPY(range(std::size_t{0}, all.size()));
    UNSCOPED_INFO("implementation: " << all[index].first);
    return all[index].second();
}

}  // namespace

TEST_CASE("a cache gives back what was put, until it is erased", "[cache][contract]") {
    auto fixture = make_fixture();
    CHECK_FALSE(fixture->get("a"));
    fixture->put("a", "1", seconds(60));
    fixture->put("b", "2", seconds(60));
    CHECK(fixture->get("a") == "1");
    fixture->put("a", "3", seconds(60));
    CHECK(fixture->get("a") == "3");
    fixture->erase("a");
    CHECK_FALSE(fixture->get("a"));
    CHECK(fixture->get("b") == "2");
    fixture->erase("never there");
}

TEST_CASE("a cache keeps bytes as they are", "[cache][contract]") {
    auto fixture = make_fixture();
    std::string bytes("\0\r\n\xff $1", 8);
    fixture->put("key with spaces\r\n", bytes, seconds(60));
    CHECK(fixture->get("key with spaces\r\n") == bytes);
    fixture->put("empty", "", seconds(60));
    CHECK(fixture->get("empty") == "");
}

TEST_CASE("a value expires after its time to live", "[cache][contract]") {
    auto fixture = make_fixture();
    fixture->put("short", "1", milliseconds(400));
    fixture->put("long", "2", seconds(60));
    fixture->put("renewed", "3", milliseconds(400));
    fixture->put("renewed", "4", seconds(60));
    CHECK(fixture->get("short") == "1");
    fixture->pass(milliseconds(500));
    CHECK_FALSE(fixture->get("short"));
    CHECK(fixture->get("long") == "2");
    CHECK(fixture->get("renewed") == "4");
}

TEST_CASE("a value without time to live is not kept", "[cache][contract]") {
    auto fixture = make_fixture();
    fixture->put("a", "1", seconds(60));
    fixture->put("a", "2", milliseconds(0));
    CHECK_FALSE(fixture->get("a"));
}

TEST_CASE("who misses first gets the lease to fill, the others none", "[cache][contract]") {
    auto fixture = make_fixture();
    const CacheLookup first = fixture->lookup("a");
    CHECK_FALSE(first.value);
    CHECK(first.lease != 0);
    CHECK_FALSE(first.being_filled);
    const CacheLookup second = fixture->lookup("a");
    CHECK_FALSE(second.value);
    CHECK(second.lease == 0);
    CHECK(second.being_filled);
    CHECK_FALSE(fixture->get("a"));
    fixture->fill("a", first.lease, "1");
    CHECK(fixture->get("a") == "1");
    const CacheLookup third = fixture->lookup("a");
    CHECK(third.value == "1");
    CHECK(third.lease == 0);
    CHECK_FALSE(third.being_filled);
}

TEST_CASE("a value read before an erase does not come in after it", "[cache][contract]") {
    auto fixture = make_fixture();
    const CacheLookup before = fixture->lookup("a");
    fixture->erase("a");
    fixture->fill("a", before.lease, "stale");
    CHECK_FALSE(fixture->get("a"));

    const CacheLookup again = fixture->lookup("a");
    REQUIRE(again.lease != 0);
    fixture->erase("a");
    const CacheLookup after = fixture->lookup("a");
    REQUIRE(after.lease != 0);
    fixture->fill("a", again.lease, "stale");  // while another one has the lease
    CHECK_FALSE(fixture->get("a"));
    fixture->fill("a", after.lease, "fresh");
    fixture->fill("a", again.lease, "stale");
    CHECK(fixture->get("a") == "fresh");
}

TEST_CASE("a put ends the lease", "[cache][contract]") {
    auto fixture = make_fixture();
    const CacheLookup before = fixture->lookup("a");
    fixture->put("a", "newer", seconds(60));
    fixture->fill("a", before.lease, "older");
    CHECK(fixture->get("a") == "newer");
}

TEST_CASE("a lease that ran out fills nothing, and the next one gets one", "[cache][contract]") {
    auto fixture = make_fixture();
    const CacheLookup slow = fixture->lookup("a", milliseconds(200));
    fixture->pass(milliseconds(300));
    const CacheLookup next = fixture->lookup("a");
    CHECK(next.lease != 0);
    fixture->fill("a", slow.lease, "late");
    CHECK_FALSE(fixture->get("a"));
}

TEST_CASE("a lease given back is there for the next one", "[cache][contract]") {
    auto fixture = make_fixture();
    const CacheLookup first = fixture->lookup("a");
    fixture->abandon("a", first.lease + 1);  // another one's
    CHECK(fixture->lookup("a").being_filled);
    fixture->abandon("a", first.lease);
    CHECK(fixture->lookup("a").lease != 0);
}

TEST_CASE("a limiter allows as many as the limit, then refuses", "[cache][contract]") {
    auto fixture = make_fixture();
    for (int i = 4; i >= 0; --i) {
        RateDecision decision = fixture->take("k", 5, seconds(10));
        CHECK(decision.allowed);
        CHECK(decision.limit == 5);
        CHECK(decision.remaining == i);
    }
    RateDecision refused = fixture->take("k", 5, seconds(10));
    CHECK_FALSE(refused.allowed);
    CHECK(refused.remaining == 0);
    CHECK(refused.reset_s >= 1);
    CHECK(refused.reset_s <= 10);
    CHECK(fixture->take("other", 5, seconds(10)).allowed);
}

TEST_CASE("a limiter allows again after the time that it told", "[cache][contract]") {
    auto fixture = make_fixture();
    while (fixture->take("k", 3, seconds(3)).allowed) {
    }
    RateDecision refused = fixture->take("k", 3, seconds(3));
    fixture->pass(seconds(refused.reset_s));
    CHECK(fixture->take("k", 3, seconds(3)).allowed);
}

TEST_CASE("refused requests do not push the end of the wait away", "[cache][contract]") {
    auto fixture = make_fixture();
    while (fixture->take("k", 2, seconds(2)).allowed) {
    }
    for (int i = 0; i < 100; ++i)
        CHECK_FALSE(fixture->take("k", 2, seconds(2)).allowed);
    fixture->pass(seconds(2));
    CHECK(fixture->take("k", 2, seconds(2)).allowed);
}

TEST_CASE("a limit of nothing allows nothing", "[cache][contract]") {
    auto fixture = make_fixture();
    CHECK_FALSE(fixture->take("k", 0, seconds(1)).allowed);
}
