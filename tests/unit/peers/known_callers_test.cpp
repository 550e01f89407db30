#include "peers/known_callers.hpp"

#include "support.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

const Timestamp now = from_micros(1'767'225'600'000'000);

std::string token_of(std::string subject, const security::SigningKeyPair& pair = gateway_key()) {
    return security::issue_internal_token(pair, Identity(std::move(subject), {}, "ses_1"), now);
}

KnownCallers callers_of(const security::SigningKeyPair& pair = gateway_key()) {
    return KnownCallers(security::InternalVerifier({pair.public_key()}));
}

}  // namespace

TEST_CASE("a caller is known for as long as the token holds, and no longer", "[edge]") {
    const auto callers = callers_of();
    const auto token = token_of("usr_1");
    for (int i = 0; i < 3; ++i)
        CHECK(callers.identify(token, now).value().subject == "usr_1");
    CHECK(callers.identify(token, now + seconds(29)).has_value());
    CHECK(callers.identify(token, now + seconds(30)).has_error());
}

TEST_CASE("only the very token is known", "[edge]") {
    const auto callers = callers_of();
    auto token = token_of("usr_1");
    REQUIRE(callers.identify(token, now).has_value());
    CHECK(callers.identify(token_of("usr_2"), now).value().subject == "usr_2");
    CHECK(callers.identify(token_of("usr_1", security::SigningKeyPair::generate()), now).has_error()
    );
    token[token.size() / 2] = token[token.size() / 2] == 'A' ? 'B' : 'A';
    CHECK(callers.identify(token, now).has_error());
}

TEST_CASE("what one edge knows another on the same thread does not", "[edge]") {
    const auto token = token_of("usr_1");
    const auto ours = callers_of();
    REQUIRE(ours.identify(token, now).has_value());
    const auto stranger = security::SigningKeyPair::generate();
    const auto theirs = callers_of(stranger);
    CHECK(theirs.identify(token, now).has_error());
    CHECK(ours.identify(token, now).has_value());
}

TEST_CASE("many callers are right ones, whatever was forgotten", "[edge]") {
    const auto callers = callers_of();
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 3'000; ++i) {
            const auto subject = "usr_" + std::to_string(i);
            REQUIRE(callers.identify(token_of(subject), now).value().subject == subject);
        }
}
