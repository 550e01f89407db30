// What runs inside Redis, each as one step that nothing comes between. Sent by its hash; by its
// text where the server does not know it yet, or no longer.
#pragma once

#include "cache/redis/link.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::cache {

struct Script {
    explicit Script(std::string_view text);
    std::string text;
    std::string sha1;
};

/// KEYS: key. ARGV: none, or lease and its milliseconds. {content, milliseconds left}, or nil where
/// there is nothing; then the lease stands there, if one was asked for.
const Script& read_script();
/// KEYS: key. ARGV: channel, then nothing to delete the key, or content and milliseconds to set it.
/// Tells the channel.
const Script& write_script();
/// KEYS: key. ARGV: lease, then nothing to delete it, or content and milliseconds to put in its
/// place. 0 when something else stands there.
const Script& fill_script();
/// KEYS: key. ARGV: limit, window in milliseconds. {allowed, remaining, microseconds to wait}.
const Script& take_script();

/// `away` when there was no answer; an error answer is complained about and `away`, too.
Task<Reply> run_script(
    Link& link, const Script& script, std::string key, std::vector<std::string> arguments
);

}  // namespace souk::cache
