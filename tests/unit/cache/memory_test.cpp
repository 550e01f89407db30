#include "cache/memory.hpp"

#include "base/virtual_clock.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace souk;

namespace {

struct Fixture {
    std::optional<std::string> get(const std::string& key) {
        return test::run_task(context, cache->get(key));
    }
    void put(const std::string& key, std::size_t size, milliseconds ttl = seconds(60)) {
        test::run_task(context, cache->put(key, std::string(size, 'x'), ttl));
    }
    std::size_t count(int keys) {
        std::size_t n = 0;
        for (int i = 0; i < keys; ++i)
            n += get("k" + std::to_string(i)) ? 1 : 0;
        return n;
    }

    base::VirtualClock clock;
    asio::io_context context;
    std::unique_ptr<Cache> cache;
};

RateDecision take(
    RateLimiter& limiter, const std::string& key, std::int64_t limit, seconds window
) {
    return test::run_task(limiter.take(key, limit, window));
}

}  // namespace

TEST_CASE("the least recently used value goes first", "[cache]") {
    Fixture f;
    f.cache = cache::make_memory_cache(f.clock, 4000);  // one part
    f.put("k0", 1000);
    f.put("k1", 1000);
    f.put("k2", 1000);
    CHECK(f.get("k0"));
    f.put("k3", 1000);
    CHECK(f.get("k0"));
    CHECK_FALSE(f.get("k1"));
    CHECK(f.get("k2"));
    CHECK(f.get("k3"));
}

TEST_CASE("the cache stays within its bytes", "[cache]") {
    Fixture f;
    f.cache = cache::make_memory_cache(f.clock, 1 << 20);
    for (int i = 0; i < 5000; ++i)
        f.put("k" + std::to_string(i), 1000);
    std::size_t kept = f.count(5000);
    CHECK(kept <= (1 << 20) / 1000);
    CHECK(kept >= 500);
    f.put("k0", 2 << 20);  // too large for any part
    CHECK_FALSE(f.get("k0"));
    CHECK(f.count(5000) + 1 >= kept);
}

TEST_CASE("small values count with what they cost beside their bytes", "[cache]") {
    Fixture f;
    f.cache = cache::make_memory_cache(f.clock, 64 << 10);
    for (int i = 0; i < 10'000; ++i)
        f.put("k" + std::to_string(i), 1);
    CHECK(f.count(10'000) < 500);
}

TEST_CASE("replacing a value frees what it took", "[cache]") {
    Fixture f;
    f.cache = cache::make_memory_cache(f.clock, 4000);
    f.put("other", 100);
    for (int i = 0; i < 100; ++i)
        f.put("k0", 1000);
    CHECK(f.get("other"));
    CHECK(f.get("k0"));
}

TEST_CASE("a value that has expired frees what it took", "[cache]") {
    Fixture f;
    f.cache = cache::make_memory_cache(f.clock, 4000);
    f.put("old", 100);
    f.put("k0", 3000, seconds(1));
    f.clock.advance(seconds(1));
    CHECK_FALSE(f.get("k0"));
    f.put("k1", 3000);
    CHECK(f.get("old"));
}

TEST_CASE("threads share the cache", "[cache]") {
    base::VirtualClock clock;
    auto cache = cache::make_memory_cache(clock, 256 << 10);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            asio::io_context context;
            for (int i = 0; i < 3000; ++i) {
                std::string key = "k" + std::to_string(i % 300);
                test::run_task(context, cache->put(key, key + "=value", seconds(60)));
                auto value = test::run_task(context, cache->get(key));
                if (value && *value != key + "=value") ++wrong;
                if (i % 7 == 0) test::run_task(context, cache->erase(key));
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("tokens come back one by one", "[cache]") {
    base::VirtualClock clock;
    auto limiter = cache::make_memory_rate_limiter(clock, 100);
    for (int i = 0; i < 6; ++i)
        CHECK(take(*limiter, "k", 6, seconds(60)).allowed);
    RateDecision refused = take(*limiter, "k", 6, seconds(60));
    CHECK_FALSE(refused.allowed);
    CHECK(refused.reset_s == 10);
    clock.advance(milliseconds(9999));
    CHECK_FALSE(take(*limiter, "k", 6, seconds(60)).allowed);
    clock.advance(milliseconds(1));
    CHECK(take(*limiter, "k", 6, seconds(60)).allowed);
    CHECK_FALSE(take(*limiter, "k", 6, seconds(60)).allowed);
    clock.advance(seconds(600));
    CHECK(take(*limiter, "k", 6, seconds(60)).remaining == 5);
}

TEST_CASE("limits finer than a microsecond hold", "[cache]") {
    base::VirtualClock clock;
    auto limiter = cache::make_memory_rate_limiter(clock, 100);
    RateDecision decision = take(*limiter, "k", 6'000'000, seconds(1));
    CHECK(decision.allowed);
    CHECK(decision.remaining == 5'999'999);
}

TEST_CASE("the limiter keeps no more keys than it may", "[cache]") {
    base::VirtualClock clock;
    auto limiter = cache::make_memory_rate_limiter(clock, 10);
    CHECK(take(*limiter, "victim", 1, seconds(60)).allowed);
    for (int i = 0; i < 9; ++i)
        take(*limiter, "k" + std::to_string(i), 1, seconds(60));
    CHECK_FALSE(take(*limiter, "victim", 1, seconds(60)).allowed);  // ten are kept
    take(*limiter, "k10", 1, seconds(60));
    CHECK(take(*limiter, "k0", 1, seconds(60)).allowed);  // the eleventh cost the oldest its place
    CHECK_FALSE(take(*limiter, "victim", 1, seconds(60)).allowed);
}
