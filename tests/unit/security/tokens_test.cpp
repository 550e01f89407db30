#include "security/tokens.hpp"

#include "security/sodium.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

using namespace souk;
using namespace souk::security;

namespace {

const Timestamp now = from_micros(1'767'225'600'000'000);

std::int64_t in_seconds(std::int64_t offset) {
    return to_micros(now) / 1'000'000 + offset;
}

AccessClaims claims_of(std::string subject) {
    AccessClaims claims;
    claims.identity = Identity(std::move(subject), {"customer"}, "ses_1");
    claims.issued_at = now;
    claims.expires_at = now + std::chrono::minutes(10);
    return claims;
}

TokenVerifier verifier_of(const SigningKeyPair& key) {
    TokenVerifier verifier;
    verifier.set_keys({{key.kid(), key.public_key()}});
    return verifier;
}

std::string header_of(const SigningKeyPair& key) {
    return fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}})", key.kid());
}

std::string payload_with(std::string_view times, std::string_view rest) {
    return fmt::format(R"({{"sub":"usr_1","sid":"ses_1","roles":["admin"],{},{}}})", times, rest);
}

std::string good_times() {
    return fmt::format(R"("iat":{},"exp":{})", in_seconds(0), in_seconds(600));
}

constexpr std::string_view good_parties = R"("iss":"souk","aud":"souk")";

/// Signed with our own key, whatever it says: what a fault in the issuer or a confused service
/// would make. Only the checks of header and claims stand against it.
std::string signed_token(
    const SigningKeyPair& key, std::string_view header, std::string_view payload
) {
    const std::string text = to_base64url(header) + "." + to_base64url(payload);
    return text + "." + to_base64url(key.sign(text));
}

std::string hmac_with_public_key(const SigningKeyPair& key, std::string_view payload) {
    const std::string text =
        to_base64url(fmt::format(R"({{"alg":"HS256","kid":"{}","typ":"at+jwt"}})", key.kid())) +
        "." + to_base64url(payload);
    std::string tag(crypto_auth_hmacsha256_BYTES, '\0');
    const std::string secret = key.public_key();
    crypto_auth_hmacsha256(
        bytes_of(tag),
        bytes_of(std::string_view(text)),
        text.size(),
        bytes_of(std::string_view(secret))
    );
    return text + "." + to_base64url(tag);
}

/// The whole error: nothing in it may tell one fault from another.
std::string refusal(const TokenVerifier& verifier, std::string_view token, Timestamp at = now) {
    const auto result = verifier.verify(token, at);
    if (result) return "accepted";
    const auto& error = result.error();
    return fmt::format(
        "{} {} {} {}", http_status(error.kind), error.code, error.detail, error.fields.size()
    );
}

}  // namespace

TEST_CASE("a token that we issued tells who its bearer is") {
    const auto key = SigningKeyPair::generate();
    const auto result = verifier_of(key).verify(issue_access_token(key, claims_of("usr_7")), now);
    REQUIRE(result.has_value());
    CHECK(result->identity.subject == "usr_7");
    CHECK(result->identity.session == "ses_1");
    CHECK(result->identity.roles == std::vector<std::string>{"customer"});
    CHECK(result->expires_at == now + std::chrono::minutes(10));
}

TEST_CASE("the hand-made tokens below are good but for the fault in each") {
    const auto key = SigningKeyPair::generate();
    const auto good = payload_with(good_times(), good_parties);
    CHECK(verifier_of(key).verify(signed_token(key, header_of(key), good), now).has_value());
}

TEST_CASE("every attack on a token gets the same answer") {
    const auto key = SigningKeyPair::generate();
    const auto stranger = SigningKeyPair::generate();
    const auto verifier = verifier_of(key);
    const auto header = header_of(key);
    const auto payload = payload_with(good_times(), good_parties);
    const auto good = signed_token(key, header, payload);
    const auto signature_at = good.rfind('.') + 1;
    const auto with_header = [&](std::string_view text) {
        return signed_token(key, text, payload);
    };
    const auto with_payload = [&](std::string_view text) {
        return signed_token(key, header, text);
    };
    const auto with_times = [&](std::string_view times) {
        return with_payload(payload_with(times, good_parties));
    };
    const auto with_parties = [&](std::string_view parties) {
        return with_payload(payload_with(good_times(), parties));
    };
    const auto with_kid = [&](std::string_view kid) {
        return with_header(fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}})", kid));
    };
    const auto with_member = [&](std::string_view member) {
        return with_header(
            fmt::format(R"({{"alg":"EdDSA","kid":"{}",{},"typ":"at+jwt"}})", key.kid(), member)
        );
    };
    const auto with_alg = [&](std::string_view alg) {
        return with_header(
            fmt::format(R"({{"alg":"{}","kid":"{}","typ":"at+jwt"}})", alg, key.kid())
        );
    };
    const auto unsigned_as = [&](std::string_view alg) {
        return to_base64url(fmt::format(R"({{"alg":"{}","typ":"at+jwt"}})", alg)) + "." +
               to_base64url(payload) + ".";
    };
    auto flipped = good;
    flipped[signature_at + 10] = flipped[signature_at + 10] == 'A' ? 'B' : 'A';
    // 64 bytes leave four spare bits in the last character: another one with the same six upper
    // bits' worth of data would decode to the same signature.
    auto stray_bits = good;
    const std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    stray_bits.back() = alphabet[alphabet.find(stray_bits.back()) | 1];
    auto other_alphabet = good;
    for (char& c : other_alphabet)
        c = c == '-' ? '+' : c == '_' ? '/' : c;
    if (other_alphabet == good) other_alphabet.insert(signature_at, "+");
    auto swapped_payload = to_base64url(header) + "." +
                           to_base64url(payload_with(good_times(), R"("iss":"souk","aud":"x")")) +
                           good.substr(signature_at - 1);

    const std::vector<std::pair<std::string, std::string>> attacks{
        {"nothing", ""},
        {"dots", ".."},
        {"one part", "abc"},
        {"two parts", good.substr(0, signature_at - 1)},
        {"four parts", good + ".x"},
        {"alg none", unsigned_as("none")},
        {"alg None", unsigned_as("None")},
        {"alg nOnE", unsigned_as("nOnE")},
        {"alg none, signed", with_alg("none")},
        {"alg RS256, signed", with_alg("RS256")},
        {"HS256 with the public key", hmac_with_public_key(key, payload)},
        {"empty signature", good.substr(0, signature_at)},
        {"cut signature", good.substr(0, good.size() - 4)},
        {"flipped signature", flipped},
        {"signature of zeros", good.substr(0, signature_at) + std::string(86, 'A')},
        {"another's signature", signed_token(stranger, header, payload)},
        {"another's key", signed_token(stranger, header_of(stranger), payload)},
        {"payload swapped under the signature", swapped_payload},
        {"expired", with_times(fmt::format(R"("iat":{},"exp":{})", in_seconds(-9), in_seconds(0)))},
        {"no exp", with_times(fmt::format(R"("iat":{})", in_seconds(0)))},
        {"exp as text", with_times(fmt::format(R"("iat":{},"exp":"9999999999")", in_seconds(0)))},
        {"exp as a fraction", with_times(fmt::format(R"("iat":{},"exp":9e9)", in_seconds(0)))},
        {"exp beyond reason", with_times(R"("iat":0,"exp":9223372036854775807)")},
        {"negative exp", with_times(R"("iat":0,"exp":-1)")},
        {"no iat", with_times(fmt::format(R"("exp":{})", in_seconds(60)))},
        {"iat ahead",
         with_times(fmt::format(R"("iat":{},"exp":{})", in_seconds(31), in_seconds(99)))},
        {"nbf ahead", with_times(good_times() + fmt::format(R"(,"nbf":{})", in_seconds(31)))},
        {"nbf as text", with_times(good_times() + R"(,"nbf":"0")")},
        {"another iss", with_parties(R"("iss":"evil","aud":"souk")")},
        {"no iss", with_parties(R"("aud":"souk")")},
        {"another aud", with_parties(R"("iss":"souk","aud":"souk-internal")")},
        {"list of aud", with_parties(R"("iss":"souk","aud":["souk"])")},
        {"no aud", with_parties(R"("iss":"souk")")},
        {"typ JWT",
         with_header(fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"JWT"}})", key.kid()))},
        {"no typ", with_header(fmt::format(R"({{"alg":"EdDSA","kid":"{}"}})", key.kid()))},
        {"no kid", with_header(R"({"alg":"EdDSA","typ":"at+jwt"})")},
        {"kid traversal", with_kid("../../../../dev/null")},
        {"kid SQL", with_kid("' UNION SELECT 'x' --")},
        {"kid empty", with_kid("")},
        {"jku", with_member(R"("jku":"http://127.0.0.1:1/keys")")},
        {"x5u", with_member(R"("x5u":"http://127.0.0.1:1/cert")")},
        {"jwk",
         with_member(fmt::format(
             R"("jwk":{{"kty":"OKP","crv":"Ed25519","x":"{}"}})",
             to_base64url(stranger.public_key())
         ))},
        {"crit", with_member(R"("crit":["exp"])")},
        {"header with white space", with_header(header + " ")},
        {"header of two alg", with_member(R"("alg":"none")")},
        {"opaque refresh token as access token", "rt_" + std::string(43, 'a')},
        {"16 KiB",
         with_payload(payload_with(
             good_times(), fmt::format(R"({},"pad":"{}")", good_parties, std::string(16384, 'x'))
         ))},
        {"duplicate claims", with_parties(R"("iss":"souk","aud":"souk","sub":"usr_2")")},
        {"no sub",
         with_payload(fmt::format(R"({{"sid":"s","roles":[],{},{}}})", good_times(), good_parties)
         )},
        {"empty sub",
         with_payload(
             fmt::format(R"({{"sub":"","sid":"s","roles":[],{},{}}})", good_times(), good_parties)
         )},
        {"no sid",
         with_payload(fmt::format(R"({{"sub":"u","roles":[],{},{}}})", good_times(), good_parties)
         )},
        {"roles as text",
         with_payload(fmt::format(
             R"({{"sub":"u","sid":"s","roles":"admin",{},{}}})", good_times(), good_parties
         ))},
        {"payload not an object", with_payload("[]")},
        {"payload not JSON", with_payload("{")},
        {"payload with a NUL", with_payload(std::string("{}\0", 3))},
        {"padding", good + "=="},
        {"half the padding", good + "="},
        {"padding of the header", to_base64url(header) + "=" + good.substr(good.find('.'))},
        {"stray bits at the end", stray_bits},
        {"the other base64 alphabet", other_alphabet},
        {"white space inside", good.substr(0, 5) + " " + good.substr(5)},
        {"new line at the end", good + "\n"},
        {"non-ASCII", good + "\xc3\xa9"},
    };
    REQUIRE(attacks.size() >= 40);
    const auto answer = refusal(verifier, "");
    CHECK(answer == "401 invalid_token The access token is missing or not valid. 0");
    for (const auto& [name, token] : attacks) {
        INFO(name);
        REQUIRE(token != good);
        CHECK(refusal(verifier, token) == answer);
    }
}

TEST_CASE("time is given 30 seconds of leeway at the start of a token and none at its end") {
    const auto key = SigningKeyPair::generate();
    const auto verifier = verifier_of(key);
    const auto token = issue_access_token(key, claims_of("usr_1"));
    CHECK(verifier.verify(token, now - std::chrono::seconds(30)).has_value());
    CHECK_FALSE(verifier.verify(token, now - std::chrono::seconds(31)).has_value());
    CHECK(verifier.verify(token, now + std::chrono::seconds(599)).has_value());
    CHECK_FALSE(verifier.verify(token, now + std::chrono::seconds(600)).has_value());
}

TEST_CASE("a new key replaces the old, and only an unknown key is worth asking for newer ones") {
    const auto old_key = SigningKeyPair::generate();
    const auto new_key = SigningKeyPair::generate();
    auto verifier = verifier_of(old_key);
    const auto token = issue_access_token(new_key, claims_of("usr_1"));
    CHECK_FALSE(verifier.knows_header_of(token));
    verifier.set_keys({{new_key.kid(), new_key.public_key()}});
    CHECK(verifier.knows_header_of(token));
    CHECK(verifier.verify(token, now).has_value());
    CHECK_FALSE(verifier.verify(issue_access_token(old_key, claims_of("usr_1")), now).has_value());
}

TEST_CASE("the kid is the RFC 7638 thumbprint of the public key") {
    // RFC 8037 appendix A.3: a key and its thumbprint.
    const auto seed = *from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    const auto folder = std::filesystem::temp_directory_path() / fmt::format("souk-{}", getpid());
    std::filesystem::create_directories(folder);
    const auto file = folder / "rfc8037.key";
    std::ofstream(file) << to_base64url(seed);
    ::chmod(file.c_str(), 0600);
    const auto key = SigningKeyPair::load_or_create(file);
    REQUIRE(key.has_value());
    CHECK(to_base64url(key->public_key()) == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    CHECK(key->kid() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    std::filesystem::remove_all(folder);
}

TEST_CASE("the signing key is made once, kept private and never replaced in silence") {
    const auto folder =
        std::filesystem::temp_directory_path() / fmt::format("souk-key-{}", getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    const auto file = folder / "signing.key";

    const auto made = SigningKeyPair::load_or_create(file);
    REQUIRE(made.has_value());
    struct stat about {};
    REQUIRE(::stat(file.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
    CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
    const auto again = SigningKeyPair::load_or_create(file);
    REQUIRE(again.has_value());
    CHECK(again->kid() == made->kid());

    ::chmod(file.c_str(), 0640);
    const auto open = SigningKeyPair::load_or_create(file);
    REQUIRE_FALSE(open.has_value());
    CHECK(open.error().code == "signing_key");
    CHECK(open.error().detail.find("chmod 600") != std::string::npos);

    ::chmod(file.c_str(), 0600);
    std::ofstream(file) << "c2hvcnQ\n";
    const auto malformed = SigningKeyPair::load_or_create(file);
    REQUIRE_FALSE(malformed.has_value());
    CHECK(malformed.error().detail.find(file.string()) != std::string::npos);

    CHECK_FALSE(SigningKeyPair::load_or_create(folder / "absent" / "signing.key").has_value());
    std::filesystem::remove_all(folder);
}

TEST_CASE("processes that start at once over one folder have one signing key") {
    const auto folder =
        std::filesystem::temp_directory_path() / fmt::format("souk-keys-{}", getpid());
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove_all(folder);
        std::filesystem::create_directories(folder);
        constexpr int processes = 8;  // threads: the same process id, as in containers
        std::latch start(processes);
        std::vector<std::string> kids(processes);
        std::vector<std::thread> threads;
        for (std::string& kid : kids)
            threads.emplace_back([&] {
                start.arrive_and_wait();
                auto key = SigningKeyPair::load_or_create(folder / "signing.key");
                if (key) kid = key->kid();
            });
        for (std::thread& thread : threads)
            thread.join();
        CHECK_FALSE(kids.front().empty());
        CHECK(std::count(kids.begin(), kids.end(), kids.front()) == processes);
        CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
    }
    std::filesystem::remove_all(folder);
}

TEST_CASE("an internal token tells who the gateway let in, for half a minute") {
    const auto key = SigningKeyPair::generate();
    const InternalVerifier verifier({key.public_key()});
    const Identity identity("usr_7", {"customer", "staff"}, "ses_7");
    const auto token = issue_internal_token(key, identity, now);
    const auto claims = verifier.verify(token, now + std::chrono::seconds(29));
    REQUIRE(claims.has_value());
    CHECK(claims->identity.subject == "usr_7");
    CHECK(claims->identity.roles == identity.roles);
    CHECK(claims->identity.session == "ses_7");
    CHECK(verifier.verify(token, now + std::chrono::seconds(30)).has_error());
    CHECK(verifier.verify(token, now - std::chrono::seconds(31)).has_error());
    CHECK(verifier.verify(token.substr(0, token.size() - 2), now).has_error());
    CHECK(verifier.verify("", now).has_error());
}

TEST_CASE("neither kind of token passes for the other, whoever signed it") {
    const auto key = SigningKeyPair::generate();
    const InternalVerifier internal({key.public_key()});
    const auto access = verifier_of(key);
    auto claims = claims_of("usr_1");
    claims.expires_at = now + std::chrono::seconds(30);
    CHECK(internal.verify(issue_access_token(key, claims), now).has_error());
    CHECK(access.verify(issue_internal_token(key, claims.identity, now), now).has_error());
    // The right type with the wrong audience, and the other way round.
    const auto internal_header =
        fmt::format(R"({{"alg":"EdDSA","kid":"{}","typ":"souk-internal+jwt"}})", key.kid());
    const auto times = fmt::format(R"("iat":{},"exp":{})", in_seconds(0), in_seconds(30));
    constexpr std::string_view internal_parties = R"("iss":"souk","aud":"souk-internal")";
    const auto good = payload_with(times, internal_parties);
    CHECK(internal.verify(signed_token(key, internal_header, good), now).has_value());
    const auto other = payload_with(times, good_parties);
    CHECK(internal.verify(signed_token(key, internal_header, other), now).has_error());
    CHECK(internal.verify(signed_token(key, header_of(key), good), now).has_error());
    // Not even the gateway's key makes one that lasts.
    const auto lasting = payload_with(good_times(), internal_parties);
    CHECK(internal.verify(signed_token(key, internal_header, lasting), now).has_error());
}

TEST_CASE("only the gateway's key makes internal tokens, and two hold while it is replaced") {
    const auto old_key = SigningKeyPair::generate();
    const auto new_key = SigningKeyPair::generate();
    const Identity identity("usr_7", {}, "ses_7");
    const InternalVerifier only_old({old_key.public_key()});
    const InternalVerifier both({old_key.public_key(), new_key.public_key()});
    CHECK(only_old.verify(issue_internal_token(new_key, identity, now), now).has_error());
    CHECK(both.verify(issue_internal_token(new_key, identity, now), now).has_value());
    CHECK(both.verify(issue_internal_token(old_key, identity, now), now).has_value());
}

TEST_CASE("public keys are read from a file") {
    const auto file = std::filesystem::temp_directory_path() /
                      fmt::format("souk-public-{}.pub", SigningKeyPair::generate().kid());
    const auto key = SigningKeyPair::generate();
    const auto next = SigningKeyPair::generate();
    REQUIRE(write_public_key(file, key.public_key()).has_value());
    std::ofstream(file, std::ios::app) << "# the next one\n\n"
                                       << to_base64url(next.public_key()) << "\n";
    auto keys = load_public_keys(file);
    REQUIRE(keys.has_value());
    CHECK(*keys == std::vector<std::string>{key.public_key(), next.public_key()});
    std::ofstream(file, std::ios::app) << "rubbish\n";
    CHECK(load_public_keys(file).error().code == "public_key");
    std::ofstream(file, std::ios::trunc) << "# none\n";
    CHECK(load_public_keys(file).error().detail.find(file.string()) != std::string::npos);
    std::filesystem::remove(file);
    CHECK(load_public_keys(file).has_error());
}
