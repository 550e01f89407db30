#include "events/rabbitmq/connection.hpp"
#include "events/rabbitmq/topology.hpp"
#include "host/diagnosis_servers.hpp"
#include "souk/blocking.hpp"
#include "souk/id.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <chrono>

namespace souk::host {
namespace {

namespace rabbitmq = events::rabbitmq;
using rabbitmq::Argument;
using rabbitmq::Connection;
using Arguments = std::vector<rabbitmq::QueueArgument>;

constexpr std::uint16_t channel = 1;
constexpr std::int64_t expiry_ms = 5'000;
constexpr std::chrono::seconds delivery_time{10};
constexpr int look_again_ms = 100;
const std::string trial_type = "doctor.trial";

Arguments passing(Arguments arguments) {
    arguments.emplace_back("x-expires", expiry_ms, Argument::number);
    return arguments;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

rabbitmq::Outgoing message_to(const std::string& exchange) {
    rabbitmq::Outgoing message;
    message.exchange = exchange;
    message.routing_key = trial_type;
    message.message_id = "doctor";
    message.content_type = "text/plain";
    message.body = "from souk doctor";
    return message;
}

rabbitmq::Incoming delivered(Connection& connection) {
    const auto give_up = std::chrono::steady_clock::now() + delivery_time;
    while (std::chrono::steady_clock::now() < give_up) {
        auto messages = connection.receive();
        if (!messages.empty()) return std::move(messages.front());
        pollfd socket{};
        socket.fd = connection.socket();
        socket.events = POLLIN;
        ::poll(&socket, 1, look_again_ms);
    }
    throw Failure(unavailable("rabbitmq", "a message that RabbitMQ took is not delivered"));
}

/// All that the bus does, on an exchange and queues of its own. The queues go by themselves.
void try_bus(Connection& connection, const std::string& name) {
    const std::string dead = name + ".dead";
    connection.open_channel(channel);
    connection.declare_exchange(channel, name);
    connection.declare_queue(channel, dead, passing(rabbitmq::dead_queue_arguments()));
    connection.declare_queue(channel, name, passing(rabbitmq::queue_arguments(dead)));
    connection.bind(channel, name, name, trial_type);
    connection.select_confirms(channel);
    const std::vector<rabbitmq::Outgoing> batch = {message_to(name)};
    const auto verdicts = connection.publish(channel, batch);
    if (verdicts.front() != rabbitmq::Verdict::confirmed)
        throw Failure(unavailable("rabbitmq", "RabbitMQ does not take a message"));
    connection.consume(channel, name, 1);
    connection.acknowledge(channel, delivered(connection).tag, false);
    connection.get(channel, dead);
}

/// Each method blocks, and adds what it found.
class Trial {
public:
    Trial(rabbitmq::Address address, rabbitmq::Topology topology, std::string origin)
        : address_(std::move(address))
        , topology_(std::move(topology))
        , origin_(std::move(origin)) {}

    Checks run(const std::string& name) {
        if (connects() && works(name)) look_for_drift();
        return std::move(found_);
    }

private:
    bool connects() {
        try {
            Connection connection(address_);
            connection.close();
        } catch (const Failure& failure) {
            found_.emplace_back("rabbitmq", Verdict::fail, failure.error.detail, origin_);
            return false;
        }
        found_.emplace_back(
            "rabbitmq",
            Verdict::ok,
            fmt::format("RabbitMQ at {}, virtual host {}", address_.text(), address_.vhost)
        );
        return true;
    }

    bool works(const std::string& name) {
        std::string fault;
        try {
            Connection connection(address_);
            try_bus(connection, name);
            connection.close();
        } catch (const Failure& failure) {
            fault = failure.error.detail;
        }
        remove_exchange(name, fault);
        if (fault.empty()) {
            found_.emplace_back(
                "rabbitmq rights", Verdict::ok, "declares, binds, publishes, consumes, deletes"
            );
            return true;
        }
        std::string mend = "look at RabbitMQ's log";
        if (has(fault, "ACCESS_REFUSED"))
            mend = fmt::format(
                "rabbitmqctl set_permissions -p {} {} '.*' '.*' '.*'", address_.vhost, address_.user
            );
        found_.emplace_back("rabbitmq rights", Verdict::fail, std::move(fault), std::move(mend));
        return false;
    }

    /// The first fault is the one to tell.
    void remove_exchange(const std::string& name, std::string& fault) {
        try {
            Connection connection(address_);
            connection.open_channel(channel);
            connection.delete_exchange(channel, name);
            connection.close();
        } catch (const Failure& failure) {
            if (fault.empty()) fault = failure.error.detail;
        }
    }

    /// What is not there the first start makes; what is there it must find as it wants it.
    void look_for_drift() {
        const std::size_t before = found_.size();
        const std::string exchange = topology_.exchange();
        look(
            fmt::format("delete it: rabbitmqadmin delete exchange name={}", exchange),
            [&](Connection& connection) {
                if (connection.exchange_exists(channel, exchange))
                    connection.declare_exchange(channel, exchange);
            }
        );
        for (const events::Listener& listener : topology_.listeners()) {
            const std::string dead = topology_.dead_queue(listener.module);
            look_at_queue(dead, rabbitmq::dead_queue_arguments());
            look_at_queue(topology_.queue(listener.module), rabbitmq::queue_arguments(dead));
        }
        if (found_.size() == before)
            found_.emplace_back(
                "rabbitmq queues",
                Verdict::ok,
                "those that are there are as this version wants them"
            );
    }

    void look_at_queue(const std::string& name, const Arguments& arguments) {
        look(
            fmt::format(
                "let it run empty, stop every souk process, and delete it: rabbitmqctl "
                "delete_queue -p {} {}; or set another rabbitmq.prefix",
                address_.vhost,
                name
            ),
            [&](Connection& connection) {
                // Declared as it is, nothing changes.
                if (connection.queue_exists(channel, name))
                    connection.declare_queue(channel, name, arguments);
            }
        );
    }

    /// A complaint costs the connection.
    template <class Use>
    void look(std::string mend, Use use) {
        try {
            Connection connection(address_);
            connection.open_channel(channel);
            use(connection);
            connection.close();
        } catch (const Failure& failure) {
            const std::string& words = failure.error.detail;
            if (!has(words, "PRECONDITION_FAILED")) mend = "look at RabbitMQ's log";
            found_.emplace_back("rabbitmq queues", Verdict::fail, words, std::move(mend));
        }
    }

    const rabbitmq::Address address_;
    const rabbitmq::Topology topology_;
    const std::string origin_;
    Checks found_;
};

rabbitmq::Topology topology_of(
    const std::string& prefix, const std::vector<const ModuleInfo*>& modules
) {
    std::vector<events::Listener> listeners;
    for (const ModuleInfo* info : modules) {
        std::vector<std::string> types(info->listens.begin(), info->listens.end());
        if (!types.empty()) listeners.emplace_back(std::string(info->name), std::move(types));
    }
    return rabbitmq::Topology(prefix, std::move(listeners));
}

}  // namespace

Task<Checks> check_rabbitmq(const Config& config, std::vector<const ModuleInfo*> modules) {
    auto found = std::make_shared<Checks>();
    std::string origin = look_at(config, "rabbitmq.url");
    auto address = rabbitmq::parse_address(config.text("rabbitmq.url"));
    if (!address) {
        found->emplace_back("rabbitmq", Verdict::fail, address.error().detail, std::move(origin));
        co_return std::move(*found);
    }
    address->password_file = config.text("rabbitmq.password_file");
    address->ca_file = config.text("rabbitmq.ca_file");
    const std::string& prefix = config.text("rabbitmq.prefix");
    const std::string name = fmt::format("{}.doctor.{}", prefix, random_token(6));
    auto trial = std::make_shared<Trial>(*address, topology_of(prefix, modules), std::move(origin));
    BlockingPool pool("doctor", 1, 1);
    std::function<void()> job = [found, trial, name] { *found = trial->run(name); };
    auto ran = co_await pool.run(std::move(job));
    if (!ran) found->emplace_back("rabbitmq", Verdict::fail, ran.error().detail);
    co_return std::move(*found);
}

}  // namespace souk::host
