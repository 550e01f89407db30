#include "souk/id.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <thread>
#include <vector>

using namespace souk;

namespace {

unsigned __int128 decode(std::string_view id) {
    constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned __int128 value = 0;
    for (char c : id.substr(id.find('_') + 1))
        value = (value << 5) | digits.find(c);
    return value;
}

}  // namespace

TEST_CASE("an id holds a UUIDv7 of its time", "[id]") {
    Timestamp now = from_micros(1'764'000'000'123'456);
    std::string id = make_id("ord", now);
    REQUIRE(is_id(id, "ord"));
    CHECK(id.size() == 30);
    auto uuid = decode(id);
    CHECK(static_cast<std::uint64_t>(uuid >> 80) == 1'764'000'000'123u);
    CHECK(static_cast<unsigned>(uuid >> 76 & 0xf) == 7);
    CHECK(static_cast<unsigned>(uuid >> 62 & 0x3) == 2);
}

TEST_CASE("ids of one thread sort by creation, also within a millisecond", "[id]") {
    Timestamp now = from_micros(1'764'000'000'000'000);
    std::string last = make_id("ord", now);
    for (int i = 0; i < 20'000; ++i) {
        std::string next = make_id("ord", now);
        REQUIRE(last < next);
        last = next;
    }
    CHECK(last < make_id("ord", now + milliseconds(1)));
    CHECK(make_id("ord", now - seconds(1)) < last);
}

TEST_CASE("ids of several threads differ", "[id]") {
    Timestamp now = from_micros(1'764'000'000'000'000);
    std::vector<std::vector<std::string>> made(4);
    std::vector<std::thread> threads;
    for (auto& list : made)
        threads.emplace_back([&list, now] {
            for (int i = 0; i < 2000; ++i)
                list.push_back(make_id("x", now));
        });
    for (auto& thread : threads)
        thread.join();
    std::set<std::string> all;
    for (auto& list : made)
        all.insert(list.begin(), list.end());
    CHECK(all.size() == 8000);
}

TEST_CASE("what is no id is told", "[id]") {
    std::string id = make_id("usr", from_micros(1'764'000'000'000'000));
    CHECK_FALSE(is_id(id, "ord"));
    CHECK_FALSE(is_id(id + "0", "usr"));
    CHECK_FALSE(is_id(id.substr(0, 29), "usr"));
    CHECK_FALSE(is_id("", "usr"));
    CHECK_FALSE(is_id("usr_", "usr"));
    for (char bad : {'i', 'l', 'o', 'u', 'A', '-', '\'', '\0'}) {
        std::string spoiled = id;
        spoiled[10] = bad;
        CHECK_FALSE(is_id(spoiled, "usr"));
    }
    CHECK_FALSE(is_id("usr_8" + std::string(25, '0'), "usr"));  // 2^128
    CHECK(is_id("usr_7" + std::string(25, 'z'), "usr"));
}

TEST_CASE("sha256_hex gives the standard's answers", "[id]") {
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("random tokens are base64url and differ", "[id]") {
    std::string token = random_token(32);
    CHECK(token.size() == 43);
    CHECK(
        token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        ) == std::string::npos
    );
    CHECK(token != random_token(32));
}
