// Which brokers will do.
#include "events/rabbitmq/advice.hpp"

#include <catch2/catch.hpp>

using souk::events::rabbitmq::advice;
using souk::events::rabbitmq::version_fault;

TEST_CASE("rabbitmq: a broker of 3.10 or later will do") {
    const std::string version =
        GENERATE(as<std::string>(), "3.10.0", "3.10.8", "3.13.7", "4.0.0-rc.1", "4.1", "10.0");
    CHECK(version_fault(version).empty());
}

TEST_CASE("rabbitmq: an older broker is refused, and what to do is said") {
    const std::string version =
        GENERATE(as<std::string>(), "3.7.28", "3.9.29", "2.8.4", "", "3", "3.", "unknown", "3.x");
    const std::string fault = version_fault(version);
    CHECK_THAT(fault, Catch::Contains("3.10"));
    CHECK_THAT(fault, Catch::Contains(version));
    CHECK_THAT(advice({}, fault), Catch::Contains("up to date"));
}
