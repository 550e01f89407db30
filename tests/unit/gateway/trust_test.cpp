// What a thread remembers of the tokens that it has verified.
#include "gateway/trust.hpp"

#include "unit/gateway/support.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <thread>
#include <vector>

using namespace souk;
using namespace souk::gateway;
using namespace souk::gateway::test;

namespace {

/// Trust alone, with the keys of a world's user module.
struct Believer {
    Believer() : trust(world.context.get_executor(), world.users, world.clock, milliseconds(500)) {
        world.run_value(trust.start()).value();
    }
    ~Believer() { world.run(trust.stop()); }
    Believer(const Believer&) = delete;
    Believer& operator=(const Believer&) = delete;

    std::string verified(int n) {
        std::string token = world.token("customer", "ses_" + std::to_string(n));
        REQUIRE(world.run_value(trust.identify(token)).has_value());
        return token;
    }
    bool remembers(const std::string& token) { return trust.recall(token).has_value(); }

    World world;
    Trust trust;
};

}  // namespace

TEST_CASE("a thread remembers what it verified last, and never more than so many tokens") {
    Believer believer;
    constexpr int most = 2048;
    std::vector<std::string> tokens;
    for (int n = 0; n < most + 1; ++n)
        tokens.push_back(believer.verified(n));
    int remembered = 0;
    for (const std::string& token : tokens)
        remembered += believer.remembers(token) ? 1 : 0;
    CHECK(remembered <= most);
    CHECK_FALSE(believer.remembers(tokens.front()));
    for (int n = most / 2; n <= most; ++n)
        CHECK(believer.remembers(tokens[static_cast<std::size_t>(n)]));
}

TEST_CASE("what one thread has verified, another one verifies itself") {
    Believer believer;
    const std::string token = believer.verified(1);
    CHECK(believer.remembers(token));
    bool elsewhere = true;
    std::thread([&] { elsewhere = believer.remembers(token); }).join();
    CHECK_FALSE(elsewhere);
}

TEST_CASE("a token that is remembered still ends, is revoked, and goes with its key") {
    Believer believer;
    const std::string token = believer.verified(1);
    const std::string revoked = believer.verified(2);
    believer.world.users.revoke("ses_2");
    believer.world.live(seconds(1));
    CHECK(believer.trust.recall(token).value().has_value());
    CHECK_FALSE(believer.trust.recall(revoked).value().has_value());

    const std::string of_old_key = believer.verified(3);
    believer.world.users.pairs.assign(1, security::SigningKeyPair::generate());
    believer.world.live(std::chrono::minutes(2));
    CHECK_FALSE(believer.remembers(of_old_key));

    const std::string late = believer.world.token("customer", "ses_4");
    believer.world.live(std::chrono::minutes(9));
    REQUIRE(believer.world.run_value(believer.trust.identify(late)).has_value());
    believer.world.clock.advance(seconds(59));
    CHECK(believer.remembers(late));
    believer.world.clock.advance(seconds(1));
    CHECK_FALSE(believer.remembers(late));
}
