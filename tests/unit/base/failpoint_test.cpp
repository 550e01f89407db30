#include "souk/failpoint.hpp"

#ifdef SOUK_FAILPOINTS

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

using namespace souk;

TEST_CASE("a failpoint fails from its pass on, until it is off", "[failpoint]") {
    CHECK_FALSE(failpoint::hit("test.point"));
    failpoint::arm("test.point", "error@3");
    CHECK_FALSE(failpoint::hit("test.other"));
    CHECK_FALSE(failpoint::hit("test.point"));
    CHECK_FALSE(failpoint::hit("test.point"));
    CHECK(failpoint::hit("test.point"));
    CHECK(failpoint::hit("test.point"));
    failpoint::arm("test.point", "off");
    CHECK_FALSE(failpoint::hit("test.point"));
    failpoint::arm("test.point", "sleep:1");
    CHECK_FALSE(failpoint::hit("test.point"));
    failpoint::arm("test.point", "off");
    CHECK_THROWS_AS(failpoint::arm("test.point", "explode"), std::invalid_argument);
    CHECK_THROWS_AS(failpoint::arm("test.point", "error@x"), std::invalid_argument);
}

TEST_CASE("crash kills the process as kill -9 does", "[failpoint]") {
    failpoint::arm("test.crash", "crash@2");
    pid_t child = ::fork();
    if (child == 0) {
        failpoint::hit("test.crash");
        failpoint::hit("test.crash");
        ::_exit(0);
    }
    failpoint::arm("test.crash", "off");
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
}

#endif
