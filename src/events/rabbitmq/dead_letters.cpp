#include "events/rabbitmq/dead_letters.hpp"

#include "events/rabbitmq/cloud_event.hpp"
#include "events/rabbitmq/relay.hpp"
#include "souk/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

constexpr std::uint16_t reading_channel = 3;
constexpr int letter_limit = 1000;
const std::string attempts_header = "souk-attempts";
const std::string error_header = "souk-error";

Error no_dead_letter() {
    return Error(ErrorKind::not_found, "no_dead_letter", "there is no such dead letter");
}

Error beyond_the_oldest() {
    return Error(
        ErrorKind::not_found,
        "no_dead_letter",
        fmt::format(
            "it is not among the oldest {} dead letters, and there are more: replay or drop some "
            "of "
            "those first",
            letter_limit
        )
    );
}

bool listens(const Topology& topology, const std::string& consumer) {
    const auto& all = topology.listeners();
    return std::any_of(all.begin(), all.end(), [&](const Listener& listener) {
        return listener.module == consumer;
    });
}

Event event_of(const Incoming& message) {
    Result<Event> event = from_cloud_event(message.body);
    if (event) return *event;
    Event malformed("", "", 0, message.body);
    malformed.id = message.message_id;
    return malformed;
}

DeadLetter letter_of(const std::string& consumer, const Incoming& message) {
    DeadLetter letter;
    letter.consumer = consumer;
    letter.event = event_of(message);
    const std::string attempts = message.header(attempts_header);
    std::from_chars(attempts.data(), attempts.data() + attempts.size(), letter.attempts);
    letter.last_error = message.header(error_header);
    return letter;
}

/// Looks at the oldest letters in turn; those that `take` does not acknowledge go back, in their
/// order. Returns how many more there are.
std::int64_t read_letters(
    Connection& connection,
    const std::string& queue,
    const std::function<void(const Incoming&)>& take
) {
    std::int64_t more = 0;
    connection.open_channel(reading_channel);
    for (int i = 0; i < letter_limit; ++i) {
        auto message = connection.get(reading_channel, queue);
        if (!message) break;
        take(*message);
        if (i + 1 == letter_limit) more = connection.ready(reading_channel, queue);
    }
    connection.close_channel(reading_channel);
    return more;
}

/// All copies of it: a burial in doubt is done again.
Result<void> take_letter(
    Connection& connection,
    const Topology& topology,
    const std::string& consumer,
    const std::string& event_id,
    const std::function<bool(const Incoming&)>& first
) {
    if (!listens(topology, consumer)) return no_dead_letter();
    bool found = false;
    bool taken = false;
    auto look = [&](const Incoming& message) {
        if (event_of(message).id != event_id) return;
        if (!found) taken = first(message);
        found = true;
        if (taken) connection.acknowledge(reading_channel, message.tag, false);
    };
    const std::int64_t more = read_letters(connection, topology.dead_queue(consumer), look);
    if (!found) return more > 0 ? beyond_the_oldest() : no_dead_letter();
    if (!taken) return unavailable("rabbitmq", "RabbitMQ did not take the event");
    return {};
}

}  // namespace

Outgoing dead_letter(
    const Topology& topology,
    const std::string& consumer,
    const Event& event,
    std::int64_t attempts,
    const std::string& error
) {
    Outgoing letter;
    letter.routing_key = topology.dead_queue(consumer);
    letter.message_id = event.id;
    letter.content_type = cloud_event_type;
    letter.body = to_cloud_event(event);
    letter.headers.emplace_back(attempts_header, std::to_string(attempts));
    letter.headers.emplace_back(error_header, error);
    return letter;
}

Outgoing malformed_letter(
    const Topology& topology,
    const std::string& consumer,
    const Incoming& message,
    const std::string& id,
    const std::string& error
) {
    Outgoing letter;
    letter.routing_key = topology.dead_queue(consumer);
    letter.message_id = message.message_id.empty() ? id : message.message_id;
    letter.content_type = message.content_type;
    letter.body = message.body;
    letter.headers.emplace_back(attempts_header, "0");
    letter.headers.emplace_back(error_header, error);
    return letter;
}

std::vector<DeadLetter> list_dead(
    Connection& connection, const Topology& topology, const std::string& consumer
) {
    std::vector<DeadLetter> all;
    std::set<std::string> seen;
    auto look = [&](const Incoming& message) {
        DeadLetter letter = letter_of(consumer, message);
        if (seen.insert(letter.event.id).second) all.push_back(std::move(letter));
    };
    const std::int64_t more = read_letters(connection, topology.dead_queue(consumer), look);
    if (more > 0)
        Logger("bus").warn(
            "only the oldest dead letters are listed", {{"consumer", consumer}, {"more", more}}
        );
    return all;
}

Result<void> replay_dead(
    Connection& connection,
    const Topology& topology,
    const std::string& consumer,
    const std::string& event_id
) {
    auto again = [&](const Incoming& message) {
        Outgoing event;
        event.routing_key = topology.queue(consumer);
        event.message_id = message.message_id;
        event.content_type = message.content_type;
        event.body = message.body;
        std::vector<Outgoing> one;
        one.push_back(std::move(event));
        return connection.publish(confirm_channel, one).front() == Verdict::confirmed;
    };
    return take_letter(connection, topology, consumer, event_id, again);
}

Result<void> drop_dead(
    Connection& connection,
    const Topology& topology,
    const std::string& consumer,
    const std::string& event_id
) {
    auto forget = [](const Incoming&) { return true; };
    return take_letter(connection, topology, consumer, event_id, forget);
}

}  // namespace souk::events::rabbitmq
