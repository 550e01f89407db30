// The addresses of servers in the configuration, judged before anything connects: what libpq, Redis
// and RabbitMQ would refuse later and less clearly. No message repeats more of an address than its
// scheme, because a password may stand anywhere in a wrong one.
#pragma once

#include <string>
#include <string_view>

namespace souk::host {

/// What is wrong with `url` for the setting `key` (postgres.url, postgres.replica_url, redis.url,
/// rabbitmq.url), and how it should look; empty when nothing is, or when it is empty.
std::string server_url_fault(std::string_view key, const std::string& url);

/// "host:port" of `url`, for messages; `url` passed server_url_fault().
std::string server_of(const std::string& url);

}  // namespace souk::host
