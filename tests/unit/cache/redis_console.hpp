// What an operator does to a Redis server, on a connection beside those under test.
#pragma once

#include "cache/redis/link.hpp"
#include "unit/cache/redis_world.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

class RedisConsole {
public:
    explicit RedisConsole(const std::string& url) {
        cache::LinkOptions options;
        options.address = cache::parse_redis_url(url).value();
        options.name = "console";
        options.timeout = seconds(30);
        link_ = std::make_shared<cache::Link>(
            home_.executor(),
            base::system_clock(),
            cache::LinkMetrics(*metrics_),
            std::move(options),
            cache::LinkEvents()
        );
        run_task(link_->open()).value();
    }
    ~RedisConsole() { link_->close(); }

    cache::Reply send(const std::vector<std::string_view>& words) {
        auto reply = run_task(link_->call(cache::format_command(words)));
        if (reply.kind == cache::Reply::Kind::away) throw std::runtime_error("no answer");
        return reply;
    }
    /// Ends the connections of `type`: "normal" (but not this one), "pubsub".
    void disconnect(std::string_view type) { send({"CLIENT", "KILL", "TYPE", type}); }

private:
    std::unique_ptr<Metrics> metrics_ = observe::make_metrics();
    HomeThread home_;
    std::shared_ptr<cache::Link> link_;
};

}  // namespace souk::test
