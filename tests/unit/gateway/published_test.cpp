#include "gateway/published.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <thread>
#include <vector>

using souk::gateway::Published;

TEST_CASE("each object publishes its own value to every thread") {
    Published<std::string> a(std::make_shared<const std::string>("a"));
    Published<std::string> b(std::make_shared<const std::string>("b"));
    CHECK(a.read() == "a");
    CHECK(b.read() == "b");
    a.publish(std::make_shared<const std::string>("a2"));
    CHECK(b.read() == "b");
    CHECK(a.read() == "a2");
}

TEST_CASE("readers see whole values in the order in which they were published") {
    using Pair = std::pair<int, int>;
    Published<Pair> value(std::make_shared<const Pair>(0, 0));
    constexpr int last = 2000;
    std::atomic<int> faults{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            for (int seen = 0; seen < last;) {
                const Pair pair = value.read();
                if (pair.first != pair.second || pair.first < seen) ++faults;
                seen = pair.first;
            }
        });
    for (int i = 1; i <= last; ++i)
        value.publish(std::make_shared<const Pair>(i, i));
    for (auto& reader : readers)
        reader.join();
    CHECK(faults == 0);
}
