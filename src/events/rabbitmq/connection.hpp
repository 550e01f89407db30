// A blocking connection to RabbitMQ, for one thread. Whatever goes wrong with it is a `Failure`
// with words for an operator; after one the connection is good for nothing but destruction.
#pragma once

#include "souk/error.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace souk::events::rabbitmq {

struct Address {
    Address() = default;
    std::string text() const { return host + ":" + std::to_string(port); }
    std::string host;
    int port = 5672;
    std::string user;
    std::string password;
    std::string vhost;
    bool tls = false;
    std::filesystem::path password_file;
    std::filesystem::path ca_file;
};

/// Errors: `invalid` "rabbitmq_url".
Result<Address> parse_address(const std::string& url);

using Header = std::pair<std::string, std::string>;

struct Outgoing {
    Outgoing() = default;
    std::string exchange;  // empty: straight to the queue that `routing_key` names
    std::string routing_key;
    std::string message_id;  // unique in its batch: what comes back is known by it
    std::string content_type;
    std::string body;
    std::vector<Header> headers;
    bool mandatory = true;
};

struct Incoming {
    Incoming() = default;
    /// Empty when absent.
    std::string header(const std::string& name) const;
    std::uint16_t channel = 0;
    std::uint64_t tag = 0;
    std::string message_id;
    std::string content_type;
    std::string body;
    std::vector<Header> headers;  // those that are text
};

/// What the broker said of a message. A confirm also comes for one that no queue took, after its
/// return.
enum class Verdict : std::uint8_t { pending, confirmed, refused, returned };

enum class Argument : std::uint8_t { text, number, flag };
struct QueueArgument {
    QueueArgument(std::string name, std::string value)
        : kind(Argument::text), name(std::move(name)), text(std::move(value)) {}
    QueueArgument(std::string name, std::int64_t value, Argument kind)
        : kind(kind), name(std::move(name)), number(value) {}
    Argument kind;
    std::string name;
    std::string text;
    std::int64_t number = 0;
};

class Connection {
public:
    /// Connects and logs in; at most some seconds.
    explicit Connection(const Address& address);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    int socket() const;
    void open_channel(std::uint16_t channel);
    /// What was taken from it and not acknowledged goes back to its queue.
    void close_channel(std::uint16_t channel);
    void declare_exchange(std::uint16_t channel, const std::string& name);
    void delete_exchange(std::uint16_t channel, const std::string& name);
    /// False costs the channel: open it again.
    bool exchange_exists(std::uint16_t channel, const std::string& name);
    bool queue_exists(std::uint16_t channel, const std::string& name);
    void declare_queue(
        std::uint16_t channel, const std::string& name, const std::vector<QueueArgument>& arguments
    );
    void bind(
        std::uint16_t channel,
        const std::string& queue,
        const std::string& exchange,
        const std::string& routing_key
    );
    /// Messages in the queue that nobody has taken.
    std::int64_t ready(std::uint16_t channel, const std::string& queue);

    /// On a channel with confirms. Sends all, persistent, then waits for all verdicts.
    void select_confirms(std::uint16_t channel);
    std::vector<Verdict> publish(std::uint16_t channel, const std::vector<Outgoing>& batch);

    void consume(std::uint16_t channel, const std::string& queue, std::uint16_t prefetch);
    void acknowledge(std::uint16_t channel, std::uint64_t tag, bool all_before);
    std::optional<Incoming> get(std::uint16_t channel, const std::string& queue);
    /// Takes what has arrived, without waiting; keeps heartbeats going.
    std::vector<Incoming> receive();

    /// In good order; what was sent before has arrived.
    void close();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace souk::events::rabbitmq
