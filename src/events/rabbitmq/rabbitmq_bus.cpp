#include "events/rabbitmq/rabbitmq_bus.hpp"

#include "events/rabbitmq/consumer.hpp"
#include "events/rabbitmq/dead_letters.hpp"
#include "events/rabbitmq/relay.hpp"
#include "events/rabbitmq/stoppable_database.hpp"
#include "events/upkeep.hpp"
#include "souk/id.hpp"
#include "souk/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <utility>

namespace souk::events {
namespace rabbitmq {
namespace {

constexpr std::uint16_t first_channel = 10;  // of the consumers

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

BusRules rules_of(const RabbitMqOptions& options) {
    BusRules rules;
    rules.batch = options.batch;
    rules.max_attempts = options.max_attempts;
    rules.poll = options.poll;
    rules.gather = options.gather;
    rules.retry_base = options.retry_base;
    return rules;
}

/// An inbox and what it stands on.
struct Stand {
    Stand(std::shared_ptr<BusContext> bus, const std::string& module, Database& below)
        : database(bus, below), inbox(module, database, bus->clock) {}
    StoppableDatabase database;
    Inbox inbox;
};

/// The bus itself. Lives on the executor; shared with its loops, which may outlive the handle.
class State : public std::enable_shared_from_this<State> {
public:
    State(Executor executor, Clock& clock, Metrics& metrics, RabbitMqOptions options)
        : bus_(std::make_shared<BusContext>(executor, clock, metrics, rules_of(options)))
        , options_(std::move(options))
        , topology_(std::make_shared<Topology>(options_.prefix, options_.listeners))
        , upkeep_(std::make_shared<Upkeep>(bus_))
        , connected_(
              metrics.gauge("rabbitmq_connected", "1 while all connections to the broker are up")
          ) {}

    const Executor& executor() const { return bus_->executor; }
    void add_publisher(std::string module, Database& database);
    void add_consumer(std::string module, Database& database, std::vector<Subscription> wanted);

    void wake();
    /// As a crash would: nothing is finished.
    void abandon();
    std::string fault() const;
    static Task<Result<void>> start(std::shared_ptr<State> self);
    static Task<void> stop(std::shared_ptr<State> self, Deadline deadline);
    static Task<Result<bool>> idle(std::shared_ptr<State> self);
    static Task<Result<std::vector<DeadLetter>>> dead_letters(std::shared_ptr<State> self);
    using Treatment =
        Result<void> (*)(Connection&, const Topology&, const std::string&, const std::string&);
    static Task<Result<void>> treat_dead(
        std::shared_ptr<State> self, Treatment treatment, std::string consumer, std::string event_id
    );

private:
    struct Listening {
        Listening(std::string module, Database& database, std::vector<Subscription> wanted)
            : module(std::move(module)), database(&database), wanted(std::move(wanted)) {}
        std::string module;
        Database* database;
        std::vector<Subscription> wanted;
    };
    using Consumers = std::vector<std::shared_ptr<Consumer>>;
    using Ready = std::map<std::string, std::int64_t>;  // by module

    Result<void> make_loops();
    LinkHooks publishing_hooks();
    LinkHooks consuming_hooks();
    void spawn_loops();
    void link_changed(bool publishing, bool up);
    Task<bool> wait_for_loops(std::size_t left, Deadline deadline);
    Task<Result<Ready>> look_at_queues();
    Task<Result<Ready>> look_at_own_queues();

    std::shared_ptr<BusContext> bus_;
    const RabbitMqOptions options_;
    std::shared_ptr<const Topology> topology_;
    std::shared_ptr<Upkeep> upkeep_;
    Gauge& connected_;
    std::shared_ptr<Links> links_ = std::make_shared<Links>();
    const std::string owner_ = random_token(12);
    std::vector<std::pair<std::string, Database*>> publishing_;
    std::vector<Listening> listening_;
    std::vector<std::shared_ptr<Relay>> relays_;
    std::shared_ptr<const Consumers> consumers_ = std::make_shared<Consumers>();
    std::atomic<bool> woken_ = false;
    bool publishing_up_ = false;
    bool consuming_up_ = false;
};

void State::add_publisher(std::string module, Database& database) {
    publishing_.emplace_back(std::move(module), &database);
}

void State::add_consumer(std::string module, Database& database, std::vector<Subscription> wanted) {
    listening_.emplace_back(std::move(module), database, std::move(wanted));
}

Result<void> State::make_loops() {
    auto consumers = std::make_shared<Consumers>();
    for (Listening& listener : listening_) {
        if (listener.wanted.empty()) continue;
        auto stand = std::make_shared<Stand>(bus_, listener.module, *listener.database);
        std::shared_ptr<Inbox> inbox(stand, &stand->inbox);
        for (Subscription& subscription : listener.wanted) {
            Result<void> added = inbox->subscribe(std::move(subscription));
            if (!added) return added;
        }
        upkeep_->add(inbox);
        Lease lease(
            stand->database, bus_->clock, "retry/" + listener.module, owner_, options_.lease
        );
        auto channel = static_cast<std::uint16_t>(first_channel + consumers->size());
        consumers->push_back(std::make_shared<Consumer>(
            bus_, links_, topology_, inbox, stand->database, channel, std::move(lease)
        ));
    }
    consumers_ = std::move(consumers);
    listening_.clear();
    for (const auto& [module, database] : publishing_)
        relays_.push_back(std::make_shared<Relay>(
            bus_, links_->publishing, topology_, module, *database, owner_, options_.lease
        ));
    return Result<void>();
}

LinkHooks State::publishing_hooks() {
    LinkHooks hooks;
    hooks.connected = [topology = topology_](Connection& connection) {
        topology->declare(connection);
        connection.open_channel(confirm_channel);
        connection.select_confirms(confirm_channel);
    };
    hooks.changed = [weak = weak_from_this(), executor = executor()](bool up) {
        asio::post(executor, [weak, up] {
            if (const auto self = weak.lock()) self->link_changed(true, up);
        });
    };
    return hooks;
}

/// Hands deliveries to their consumers; on the link's thread.
void hand_over(
    const Executor& executor,
    const std::vector<std::shared_ptr<Consumer>>& consumers,
    std::vector<Incoming> messages
) {
    std::vector<std::vector<Arrived>> arrived(consumers.size());
    for (Incoming& message : messages) {
        const std::size_t at = message.channel - first_channel;
        if (at < arrived.size()) arrived[at].emplace_back(std::move(message));
    }
    for (std::size_t i = 0; i < arrived.size(); ++i) {
        if (arrived[i].empty()) continue;
        auto all = std::make_shared<std::vector<Arrived>>(std::move(arrived[i]));
        asio::post(executor, [consumer = consumers[i], all] {
            consumer->received(std::move(*all));
        });
    }
}

LinkHooks State::consuming_hooks() {
    const auto prefetch = static_cast<std::uint16_t>(std::min<std::size_t>(options_.batch, 65'535));
    LinkHooks hooks;
    hooks.connected = [topology = topology_,
                       consumers = consumers_,
                       links = links_,
                       executor = executor(),
                       prefetch](Connection& connection) {
        topology->declare(connection);
        const std::uint64_t generation = ++links->generation;
        for (const auto& consumer : *consumers) {
            asio::post(executor, [consumer, generation] { consumer->connected(generation); });
            connection.open_channel(consumer->channel());
            connection.consume(consumer->channel(), topology->queue(consumer->module()), prefetch);
        }
    };
    hooks.received = [consumers = consumers_, executor = executor()](std::vector<Incoming> all) {
        hand_over(executor, *consumers, std::move(all));
    };
    hooks.changed = [weak = weak_from_this(), executor = executor()](bool up) {
        asio::post(executor, [weak, up] {
            if (const auto self = weak.lock()) self->link_changed(false, up);
        });
    };
    return hooks;
}

void State::link_changed(bool publishing, bool up) {
    (publishing ? publishing_up_ : consuming_up_) = up;
    connected_.set(publishing_up_ && (consuming_up_ || consumers_->empty()) ? 1 : 0);
    if (publishing && up)
        for (const auto& relay : relays_)
            relay->connected();
    if (!publishing && !up)
        for (const auto& consumer : *consumers_)
            consumer->disconnected();
}

Task<Result<void>> State::start(std::shared_ptr<State> self) {
    Result<Address> address = parse_address(self->options_.url);
    if (!address) co_return address.error();
    address->password_file = self->options_.password_file;
    address->ca_file = self->options_.ca_file;
    Links& links = *self->links_;
    links.publishing = std::make_shared<Link>("publisher", *address, self->publishing_hooks());
    Result<void> made = self->make_loops();
    if (!made) co_return made;
    Result<void> opened = co_await links.publishing->open();
    if (!opened) co_return opened;
    links.consuming = std::make_shared<Link>("consumer", *address, self->consuming_hooks());
    if (!self->consumers_->empty()) {
        opened = co_await links.consuming->open();
        if (!opened) co_return opened;
    }
    self->spawn_loops();
    co_return Result<void>();
}

void State::spawn_loops() {
    BusContext& bus = *bus_;
    bus.took_effect = [weak = weak_from_this()](const std::string& module) {
        const auto state = weak.lock();
        if (!state) return;
        for (const auto& relay : state->relays_)
            if (relay->name() == module) relay->notify();
    };
    for (const auto& relay : relays_) {
        ++bus.running;
        spawn(bus.executor, [relay] { return Relay::run(relay); });
    }
    for (const auto& consumer : *consumers_) {
        ++bus.running;
        spawn(bus.executor, [consumer] { return Consumer::run(consumer); });
    }
    ++bus.running;
    spawn(bus.executor, [upkeep = upkeep_] { return Upkeep::run(upkeep); });
}

/// From any thread. Many calls before the executor comes to it cost one post.
void State::wake() {
    if (woken_.exchange(true)) return;
    asio::post(bus_->executor, [self = shared_from_this()] {
        self->woken_ = false;
        for (const auto& relay : self->relays_)
            relay->notify();
    });
}

void State::abandon() {
    asio::post(bus_->executor, [self = shared_from_this()] {
        self->bus_->stopping = true;
        for (const auto& relay : self->relays_)
            relay->notify();
        for (const auto& consumer : *self->consumers_)
            consumer->notify();
        self->upkeep_->notify();
    });
    if (links_->consuming) links_->consuming->abandon();
    if (links_->publishing) links_->publishing->abandon();
}

/// False when the deadline came first.
Task<bool> State::wait_for_loops(std::size_t left, Deadline deadline) {
    while (bus_->running > left && !deadline.passed(bus_->clock))
        co_await bus_->finished.wait(deadline.remaining(bus_->clock));
    co_return bus_->running <= left;
}

/// Consumers first: what they have in hand may announce more, which the relays send.
Task<void> State::stop(std::shared_ptr<State> self, Deadline deadline) {
    const std::size_t after_consumers = self->relays_.size() + 1;
    for (const auto& consumer : *self->consumers_)
        consumer->stop();
    bool in_time = co_await self->wait_for_loops(after_consumers, deadline);
    if (self->links_->consuming) self->links_->consuming->finish();
    for (const auto& relay : self->relays_)
        relay->stop();
    if (in_time) in_time = co_await self->wait_for_loops(1, deadline);
    self->bus_->stopping = true;
    self->upkeep_->notify();
    if (in_time) in_time = co_await self->wait_for_loops(0, deadline);
    if (self->links_->publishing) self->links_->publishing->finish();
    if (!in_time) logger().warn("bus did not finish in time", {{"loops", self->bus_->running}});
}

/// How many events lie in the queues of modules that run elsewhere.
Task<Result<State::Ready>> State::look_at_queues() {
    std::function<Result<Ready>(Connection&)> work = [topology =
                                                          topology_](Connection& connection) {
        Ready ready;
        for (const Listener& listener : topology->listeners())
            ready[listener.module] =
                connection.ready(confirm_channel, topology->queue(listener.module));
        return Result<Ready>(std::move(ready));
    };
    return links_->publishing->call<Ready>(std::move(work));
}

/// Asked on the consumers' own channels, twice: what a queue had handed out before the first answer
/// has arrived here before the second one.
Task<Result<State::Ready>> State::look_at_own_queues() {
    std::function<Result<Ready>(Connection&)> work =
        [topology = topology_, consumers = consumers_, executor = executor()](Connection& connection
        ) {
            Ready ready;
            for (int round = 0; round < 2; ++round)
                for (const auto& consumer : *consumers)
                    ready[consumer->module()] =
                        connection.ready(consumer->channel(), topology->queue(consumer->module()));
            hand_over(executor, *consumers, connection.receive());
            return Result<Ready>(std::move(ready));
        };
    return links_->consuming->call<Ready>(std::move(work));
}

/// Follows an event's way: outbox, queue, hand, parked. Looks at all of it, whatever it finds.
Task<Result<bool>> State::idle(std::shared_ptr<State> self) {
    bool idle = true;
    std::optional<Error> trouble;
    for (const auto& relay : self->relays_) {
        Result<bool> sent = co_await relay->idle();
        if (!sent) trouble = sent.error();
        idle = idle && sent && *sent;
    }
    Result<Ready> ready = co_await self->look_at_queues();
    if (!ready) co_return false;  // nobody knows
    if (!self->consumers_->empty()) {
        Result<Ready> own = co_await self->look_at_own_queues();
        if (!own) co_return false;
        for (const auto& [module, count] : *own)
            (*ready)[module] = count;
    }
    for (const auto& [module, count] : *ready)
        idle = idle && count == 0;
    for (const auto& consumer : *self->consumers_) {
        consumer->saw_ready((*ready)[consumer->module()]);
        idle = idle && !consumer->in_hand();
        Result<bool> through = co_await consumer->idle();
        idle = idle && through && *through;  // away: nobody knows
    }
    if (trouble) co_return *trouble;
    co_return idle;
}

Task<Result<std::vector<DeadLetter>>> State::dead_letters(std::shared_ptr<State> self) {
    using Letters = std::vector<DeadLetter>;
    std::function<Result<Letters>(Connection&)> work =
        [topology = self->topology_](Connection& connection) {
            Letters all;
            for (const Listener& listener : topology->listeners()) {
                Letters some = list_dead(connection, *topology, listener.module);
                std::move(some.begin(), some.end(), std::back_inserter(all));
            }
            return Result<Letters>(std::move(all));
        };
    return self->links_->publishing->call<Letters>(std::move(work));
}

Task<Result<void>> State::treat_dead(
    std::shared_ptr<State> self, Treatment treatment, std::string consumer, std::string event_id
) {
    std::function<Result<void>(Connection&)> work =
        [topology = self->topology_, treatment, consumer, event_id](Connection& connection) {
            return treatment(connection, *topology, consumer, event_id);
        };
    return self->links_->publishing->call<void>(std::move(work));
}

std::string State::fault() const {
    for (const auto& link : {links_->publishing, links_->consuming})
        if (link && !link->ended() && !link->up()) return link->fault();
    for (const auto& relay : relays_)
        if (std::string fault = relay->fault(); !fault.empty()) return fault;
    return {};
}

/// Callers may run on any thread; the bus does all its work on its own executor.
class RabbitMqBus final : public EventBus {
public:
    explicit RabbitMqBus(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~RabbitMqBus() override { state_->abandon(); }
    RabbitMqBus(const RabbitMqBus&) = delete;
    RabbitMqBus& operator=(const RabbitMqBus&) = delete;

    void wake() override { state_->wake(); }
    void add_publisher(std::string module, Database& database) override {
        state_->add_publisher(std::move(module), database);
    }
    void add_consumer(
        std::string module, Database& database, std::vector<Subscription> subscriptions
    ) override {
        state_->add_consumer(std::move(module), database, std::move(subscriptions));
    }
    Task<Result<void>> start() override { return on_executor(State::start(state_)); }
    Task<void> stop(Deadline deadline) override {
        return on_executor(State::stop(state_, deadline));
    }
    Task<Result<bool>> idle() override { return on_executor(State::idle(state_)); }
    Task<Result<std::vector<DeadLetter>>> dead_letters() override {
        return on_executor(State::dead_letters(state_));
    }
    Task<Result<void>> replay_dead(std::string consumer, std::string event_id) override {
        return on_executor(State::treat_dead(
            state_, rabbitmq::replay_dead, std::move(consumer), std::move(event_id)
        ));
    }
    Task<Result<void>> drop_dead(std::string consumer, std::string event_id) override {
        return on_executor(
            State::treat_dead(state_, rabbitmq::drop_dead, std::move(consumer), std::move(event_id))
        );
    }
    std::string fault() const override { return state_->fault(); }

private:
    template <class T>
    Task<T> on_executor(Task<T> work) {
        return asio::co_spawn(state_->executor(), std::move(work), use_task);
    }

    std::shared_ptr<State> state_;
};

}  // namespace
}  // namespace rabbitmq

std::unique_ptr<EventBus> make_rabbitmq_bus(
    Executor executor, Clock& clock, Metrics& metrics, RabbitMqOptions options
) {
    auto state = std::make_shared<rabbitmq::State>(executor, clock, metrics, std::move(options));
    return std::make_unique<rabbitmq::RabbitMqBus>(std::move(state));
}

}  // namespace souk::events
