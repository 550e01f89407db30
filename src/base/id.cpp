#include "souk/id.hpp"

#include <openssl/sha.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace souk {
namespace {

using Uint128 = unsigned __int128;

constexpr std::string_view crockford = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr int id_length = 26;

void fill_random(void* out, std::size_t size) {
    static const int ready = sodium_init();
    if (ready < 0) throw std::runtime_error("libsodium does not start");
    randombytes_buf(out, size);
}

/// What the kernel gave, handed out once: one system call for many ids.
class RandomWords {
public:
    std::uint64_t next() {
        if (left_ == 0) {
            fill_random(words_.data(), sizeof words_);
            left_ = words_.size();
        }
        return std::exchange(words_[--left_], 0);
    }

private:
    std::array<std::uint64_t, 64> words_{};
    std::size_t left_ = 0;
};

std::uint64_t random_bits(int bits) {
    thread_local RandomWords words;
    return words.next() >> (64 - bits);
}

/// The 74 bits of a UUIDv7 that are not time, version or variant: random for the first id of a
/// millisecond, then counted up by a random step (RFC 9562 §6.2, method 2), so that ids made one
/// after the other sort that way and still cannot be guessed from each other.
class Tail {
public:
    Uint128 next(std::uint64_t ms) {
        if (ms != ms_) {
            ms_ = ms;
            value_ = (static_cast<Uint128>(random_bits(9)) << 64) | random_bits(64);
        } else {
            value_ += 1 + random_bits(40);  // 2^33 steps of room: bit 73 starts as zero
        }
        return value_;
    }

private:
    std::uint64_t ms_ = 0;
    Uint128 value_ = 0;
};

Uint128 make_uuid_v7(Timestamp now) {
    thread_local Tail tail;
    auto since_epoch = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
    auto ms = static_cast<std::uint64_t>(since_epoch) & ((std::uint64_t{1} << 48) - 1);
    Uint128 bits = tail.next(ms);
    auto rand_a = static_cast<std::uint64_t>(bits >> 62) & 0xfff;
    auto rand_b = static_cast<std::uint64_t>(bits) & ((std::uint64_t{1} << 62) - 1);
    std::uint64_t high = (ms << 16) | 0x7000 | rand_a;
    std::uint64_t low = (std::uint64_t{2} << 62) | rand_b;
    return (static_cast<Uint128>(high) << 64) | low;
}

}  // namespace

std::string make_id(std::string_view prefix, Timestamp now) {
    Uint128 uuid = make_uuid_v7(now);
    std::string id(prefix.size() + 1 + id_length, '_');
    std::copy(prefix.begin(), prefix.end(), id.begin());
    // Five bits a character; twelve of them from 64 bits, for shifts of 128 are dear.
    const auto write = [](char* last, std::uint64_t bits, int characters) {
        for (int i = 0; i < characters; ++i, bits >>= 5)
            *last-- = crockford[bits & 31];
    };
    constexpr int low = 12;
    write(&id.back(), static_cast<std::uint64_t>(uuid), low);
    write(&id.back() - low, static_cast<std::uint64_t>(uuid >> (5 * low)), low);
    write(
        &id.back() - 2 * low, static_cast<std::uint64_t>(uuid >> (10 * low)), id_length - 2 * low
    );
    return id;
}

bool is_id(std::string_view text, std::string_view prefix) {
    if (text.size() != prefix.size() + 1 + id_length) return false;
    if (!text.starts_with(prefix) || text[prefix.size()] != '_') return false;
    text.remove_prefix(prefix.size() + 1);
    // 26 characters hold 130 bits: the first may use only three of its five.
    return text.front() <= '7' && text.find_first_not_of(crockford) == std::string_view::npos;
}

std::string sha256_hex(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::string hex(digest.size() * 2 + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
    hex.pop_back();
    return hex;
}

std::string random_token(std::size_t bytes) {
    std::string raw(bytes, '\0');
    fill_random(raw.data(), raw.size());
    constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string text(sodium_base64_encoded_len(bytes, variant), '\0');
    sodium_bin2base64(
        text.data(), text.size(), reinterpret_cast<unsigned char*>(raw.data()), raw.size(), variant
    );
    text.pop_back();
    return text;
}

}  // namespace souk
