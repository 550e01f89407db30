#include "security/passwords.hpp"

#include <catch2/catch.hpp>

using namespace souk::security;

TEST_CASE("a password matches its own hash only") {
    const auto hash = hash_password("correct horse");
    REQUIRE(hash.has_value());
    CHECK(hash->starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    CHECK(verify_password(*hash, "correct horse"));
    CHECK_FALSE(verify_password(*hash, "correct horsf"));
    CHECK_FALSE(verify_password(*hash, ""));
    CHECK(hash_password("correct horse").value() != *hash);
}

TEST_CASE("an overlong password is refused before hashing") {
    const std::string longest(max_password_bytes, 'x');
    const auto hash = hash_password(longest);
    REQUIRE(hash.has_value());
    CHECK(verify_password(*hash, longest));

    const auto refused = hash_password(longest + "x");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == "password_too_long");
    CHECK(refused.error().kind == souk::ErrorKind::invalid);
    CHECK_FALSE(verify_password(*hash, longest + "x"));
    CHECK_FALSE(verify_password(*hash, std::string(1 << 20, 'x')));
}

TEST_CASE("what is no hash matches nothing") {
    const std::string password = "correct horse";
    for (const std::string& hash :
         {std::string(), std::string("$argon2id$"), password, std::string(1000, '$')})
        CHECK_FALSE(verify_password(hash, password));
}

TEST_CASE("the dummy hash costs what a real one does") {
    const auto real = hash_password("x").value();
    const std::string dummy(dummy_hash());
    const auto salt_at = real.rfind('$', real.rfind('$') - 1);
    CHECK(dummy.substr(0, salt_at) == real.substr(0, salt_at));
    CHECK(dummy.size() == real.size());
    CHECK_FALSE(verify_password(dummy, "x"));
}
