#include "cache/redis/scripts.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>

namespace souk::cache {
namespace {

constexpr std::string_view read_text = R"(
local found = redis.call('GET', KEYS[1])
if found then return {found, redis.call('PTTL', KEYS[1])} end
if ARGV[1] then redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2]) end
return false
)";

constexpr std::string_view write_text = R"(
if ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
redis.call('PUBLISH', ARGV[1], KEYS[1])
return 1
)";

constexpr std::string_view fill_text = R"(
if redis.call('GET', KEYS[1]) ~= 'L' .. ARGV[1] then return 0 end
if ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
return 1
)";

// A token bucket: how many tokens are out, and since when. They come back at an even rate. When all
// are back, the key says nothing that its absence would not, and so expires. The clock is the
// server's, one for all; should it step back, what is out is counted from the new time on.
// Beside the one it may take some for soon, of what is left a small share.
constexpr std::string_view take_text = R"(
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2]) * 1000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local out = 0
local stepped = false
local known = redis.call('GET', KEYS[1])
if known then
  local tokens, since = string.match(known, '^(%S+) (%S+)$')
  out = tonumber(tokens) or 0
  since = tonumber(since) or now
  stepped = since > now
  out = math.max(0, out - math.max(0, now - since) * limit / window)
end
local nothing = 1e-9
local allowed = out + 1 <= limit + nothing
local ahead = 0
if allowed then
  ahead = math.max(0, math.min(tonumber(ARGV[3]), math.floor((limit - out - 1) / 16)))
  out = out + 1 + ahead
end
if allowed or stepped then
  local back = math.ceil(out * window / limit / 1000)
  redis.call('SET', KEYS[1], string.format('%.17g %.17g', out, now), 'PX', math.max(back, 1))
end
local room = math.max(0, limit - out)
local wait = 0
if room + nothing < 1 then wait = math.ceil((1 - room) * window / limit) end
return {allowed and 1 or 0, math.floor(room + nothing), wait, ahead}
)";

std::string sha1_hex(std::string_view text) {
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::string hex;
    for (unsigned char byte : digest)
        hex += fmt::format("{:02x}", byte);
    return hex;
}

std::string evaluate(
    std::string_view how,
    std::string_view what,
    const std::string& key,
    const std::vector<std::string>& arguments
) {
    std::vector<std::string_view> words{how, what, "1", key};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return format_command(words);
}

}  // namespace

Script::Script(std::string_view text) : text(text), sha1(sha1_hex(text)) {}

const Script& read_script() {
    static const Script script(read_text);
    return script;
}
const Script& write_script() {
    static const Script script(write_text);
    return script;
}
const Script& fill_script() {
    static const Script script(fill_text);
    return script;
}
const Script& take_script() {
    static const Script script(take_text);
    return script;
}

Task<Reply> run_script(
    Link& link, const Script& script, std::string key, std::vector<std::string> arguments
) {
    auto reply = co_await link.call(evaluate("EVALSHA", script.sha1, key, arguments));
    if (reply.is_error("NOSCRIPT"))
        reply = co_await link.call(evaluate("EVAL", script.text, key, arguments));
    if (reply.kind != Reply::Kind::error) co_return reply;
    link.complain(reply);
    co_return Reply();
}

}  // namespace souk::cache
