#include "security/dev_ca.hpp"

#include "security/secret_file.hpp"
#include "security/tokens.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

using namespace souk;
using namespace souk::security;

namespace {

const Timestamp now = from_micros(1'767'225'600'000'000);

std::string read(const std::filesystem::path& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

std::string fault(
    const std::filesystem::path& folder, const std::vector<std::string>& roles, Timestamp at = now
) {
    auto made = make_dev_certificates(folder, roles, at);
    if (made) return "";
    CHECK(made.error().code == "dev_certs");
    return made.error().detail;
}

}  // namespace

TEST_CASE("certificates for development are made once, for their owner only", "[dev_ca]") {
    const test::TempFolder folder;
    const auto at = folder.path() / "certs";
    auto made = make_dev_certificates(at, {"order", "gateway"}, now);
    REQUIRE(made.has_value());
    const std::vector<std::string> all = {
        "ca.crt", "ca.key", "order.crt", "order.key", "gateway.crt", "gateway.key"};
    CHECK(*made == all);
    for (const auto& name : all) {
        struct stat about {};
        REQUIRE(::stat((at / name).c_str(), &about) == 0);
        CHECK((about.st_mode & 0777) == 0600);
    }
    const auto before = read(at / "order.key") + read(at / "ca.crt");
    auto again = make_dev_certificates(at, {"order", "payment"}, now);
    REQUIRE(again.has_value());
    CHECK(*again == std::vector<std::string>{"payment.crt", "payment.key"});
    CHECK(read(at / "order.key") + read(at / "ca.crt") == before);
}

TEST_CASE("what is wrong in a folder of certificates is said and left", "[dev_ca]") {
    const test::TempFolder folder;
    const auto& at = folder.path();
    REQUIRE(make_dev_certificates(at, {"order"}, now).has_value());
    SECTION("half of a pair") {
        std::filesystem::remove(at / "order.key");
        CHECK(fault(at, {"order"}).find("order.crt") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(at / "order.key"));
    }
    SECTION("half of the authority") {
        std::filesystem::remove(at / "ca.key");
        CHECK(fault(at, {"order"}).find("ca.crt") != std::string::npos);
    }
    SECTION("rubbish") {
        std::ofstream(at / "order.crt") << "rubbish";
        CHECK(fault(at, {"order"}).find("order.crt") != std::string::npos);
        CHECK(read(at / "order.crt") == "rubbish");
    }
    SECTION("an expired one") {
        CHECK(
            fault(at, {"order"}, now + std::chrono::hours(24 * 366))
                .find("order.crt: it has expired; remove it and its key") != std::string::npos
        );
    }
    SECTION("another authority's") {
        const test::TempFolder other;
        REQUIRE(make_dev_certificates(other.path(), {"order"}, now).has_value());
        for (const auto* name : {"order.crt", "order.key"})
            std::filesystem::copy_file(
                other.path() / name, at / name, std::filesystem::copy_options::overwrite_existing
            );
        CHECK(fault(at, {"order"}).find("another authority") != std::string::npos);
    }
    SECTION("a name that leaves the folder") {
        CHECK(fault(at, {"../order"}) != "");
        CHECK(fault(at, {"ca"}) != "");
        CHECK(fault(at, {""}) != "");
    }
}

TEST_CASE("the gateway's key is made once, with the half that all may see", "[dev_ca]") {
    const test::TempFolder folder;
    const auto& at = folder.path();
    const auto made = make_dev_identity(at);
    REQUIRE(made.has_value());
    CHECK(*made == std::vector<std::string>{"identity.key", "identity.pub"});
    const auto pair = SigningKeyPair::load_or_create(at / "identity.key");
    REQUIRE(pair.has_value());
    CHECK(load_public_keys(at / "identity.pub").value().front() == pair->public_key());
    const auto again = make_dev_identity(at);
    REQUIRE(again.has_value());
    CHECK(again->empty());

    const auto fault = [&] {
        const auto bad = make_dev_identity(at);
        return bad ? std::string() : bad.error().detail;
    };
    SECTION("the public half is made anew") {
        std::filesystem::remove(at / "identity.pub");
        CHECK(make_dev_identity(at).value() == std::vector<std::string>{"identity.pub"});
        CHECK(load_public_keys(at / "identity.pub").value().front() == pair->public_key());
    }
    SECTION("the private half is not: others believe in the lost one") {
        std::filesystem::remove(at / "identity.key");
        CHECK(fault().find("identity.key, is missing") != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(at / "identity.key"));
    }
    SECTION("two that do not belong together") {
        REQUIRE(write_public_key(at / "identity.pub", std::string(32, 'x')).has_value());
        CHECK(fault().find("not of identity.key") != std::string::npos);
    }
}

TEST_CASE("a secret is made once and is its owner's", "[secret]") {
    const test::TempFolder folder;
    const auto file = folder.path() / "peer.key";
    auto secret = load_or_create_secret(file);
    REQUIRE(secret.has_value());
    CHECK(secret->size() == 32);
    CHECK(*load_or_create_secret(file) == *secret);
    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    auto open = load_or_create_secret(file);
    REQUIRE(open.has_error());
    CHECK(open.error().detail.find("others may read it") != std::string::npos);
    CHECK(equal_secrets("abc", "abc"));
    CHECK_FALSE(equal_secrets("abc", "abd"));
    CHECK_FALSE(equal_secrets("abc", "ab"));
    CHECK_FALSE(equal_secrets("", "a"));
}
