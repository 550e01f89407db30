#include "events/event_bus.hpp"
#include "events/publisher.hpp"
#include "events/upkeep.hpp"
#include "souk/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <map>
#include <utility>

namespace souk::events {
namespace {

constexpr std::int64_t dead_letter_page = 1000;

const Logger& logger() {
    static const Logger log("bus");
    return log;
}

/// "order.placed" is published by "order".
std::string publisher_of(std::string_view type) {
    return std::string(type.substr(0, type.find('.')));
}

/// The bus itself. Lives on the executor; shared with its loops, which may outlive the handle.
class State : public std::enable_shared_from_this<State> {
public:
    State(Executor executor, Clock& clock, Metrics& metrics, EmbeddedBusOptions options)
        : bus_(std::make_shared<BusContext>(executor, clock, metrics, options))
        , upkeep_(std::make_shared<Upkeep>(bus_)) {}

    const Executor& executor() const { return bus_->executor; }
    void add_publisher(std::string module, Database& database);
    void add_consumer(std::string module, Database& database, std::vector<Subscription> wanted);

    void wake();
    void halt();
    static Task<Result<void>> start(std::shared_ptr<State> self);
    static Task<void> stop(std::shared_ptr<State> self, Deadline deadline);
    static Task<Result<bool>> idle(std::shared_ptr<State> self);
    static Task<Result<std::vector<DeadLetter>>> dead_letters(std::shared_ptr<State> self);
    static Task<Result<void>> replay_dead(
        std::shared_ptr<State> self, std::string consumer, std::string event_id
    );
    static Task<Result<void>> drop_dead(
        std::shared_ptr<State> self, std::string consumer, std::string event_id
    );

private:
    struct Consumer {
        Consumer(std::string module, Database& database, std::vector<Subscription> wanted)
            : module(std::move(module)), database(&database), wanted(std::move(wanted)) {}
        std::string module;
        Database* database;
        std::vector<Subscription> wanted;
    };

    Result<void> connect();
    void look();

    std::shared_ptr<BusContext> bus_;
    std::shared_ptr<Upkeep> upkeep_;
    std::vector<Consumer> consumers_;
    std::vector<std::shared_ptr<Publisher>> publishers_;
    std::atomic<bool> woken_ = false;
};

void State::add_publisher(std::string module, Database& database) {
    publishers_.push_back(std::make_shared<Publisher>(bus_, std::move(module), database));
}

void State::add_consumer(std::string module, Database& database, std::vector<Subscription> wanted) {
    consumers_.emplace_back(std::move(module), database, std::move(wanted));
}

/// Makes a delivery for each publisher that a consumer listens to.
Result<void> State::connect() {
    for (Consumer& consumer : consumers_) {
        if (consumer.wanted.empty()) continue;
        auto inbox = std::make_shared<Inbox>(consumer.module, *consumer.database, bus_->clock);
        std::map<std::string, std::vector<std::string>> types;  // by publisher
        for (Subscription& subscription : consumer.wanted) {
            types[publisher_of(subscription.type)].push_back(subscription.type);
            Result<void> added = inbox->subscribe(std::move(subscription));
            if (!added) return added;
        }
        upkeep_->add(inbox);
        for (const auto& publisher : publishers_)
            if (types.erase(publisher->name()) > 0) publisher->add(inbox);
        for (const auto& [name, unheard] : types)
            logger().warn(
                "nobody publishes here",
                {{"consumer", consumer.module}, {"publisher", name}, {"types", unheard.size()}}
            );
    }
    consumers_.clear();
    return Result<void>();
}

Task<Result<void>> State::start(std::shared_ptr<State> self) {
    Result<void> connected = self->connect();
    if (!connected) co_return connected;
    for (const auto& publisher : self->publishers_) {
        Result<void> opened = co_await publisher->open();
        if (!opened) co_return opened;
    }
    BusContext& bus = *self->bus_;
    bus.took_effect = [weak = self->weak_from_this()](const std::string& module) {
        const auto state = weak.lock();
        if (!state) return;
        for (const auto& publisher : state->publishers_)
            if (publisher->name() == module) publisher->notify();
    };
    for (const auto& publisher : self->publishers_) {
        for (const auto& delivery : publisher->deliveries()) {
            ++bus.running;
            spawn(bus.executor, [delivery] { return Delivery::run(delivery); });
        }
        ++bus.running;
        spawn(bus.executor, [publisher] { return Publisher::run(publisher); });
    }
    ++bus.running;
    spawn(bus.executor, [upkeep = self->upkeep_] { return Upkeep::run(upkeep); });
    co_return Result<void>();
}

/// From any thread. Many calls before the executor comes to it cost one post.
void State::wake() {
    if (woken_.exchange(true)) return;
    asio::post(bus_->executor, [self = shared_from_this()] {
        self->woken_ = false;
        self->look();
    });
}

void State::look() {
    for (const auto& publisher : publishers_)
        publisher->notify();
}

/// Tells all loops to end after what they have in hand.
void State::halt() {
    bus_->stopping = true;
    look();
    for (const auto& publisher : publishers_)
        publisher->notify_deliveries();
    upkeep_->notify();
}

Task<void> State::stop(std::shared_ptr<State> self, Deadline deadline) {
    BusContext& bus = *self->bus_;
    self->halt();
    while (bus.running > 0 && !deadline.passed(bus.clock))
        co_await bus.finished.wait(deadline.remaining(bus.clock));
    if (bus.running > 0) {
        logger().warn("bus did not finish in time", {{"loops", bus.running}});
        co_return;
    }
    for (const auto& publisher : self->publishers_) {
        Result<void> saved = co_await publisher->save_cursors();
        if (!saved) logger().warn("cursors not saved", {{"error", saved.error().detail}});
    }
}

Task<Result<bool>> State::idle(std::shared_ptr<State> self) {
    bool idle = true;
    for (const auto& publisher : self->publishers_) {
        Result<std::int64_t> head = co_await publisher->look();
        if (!head) co_return head.error();
        idle = idle && publisher->passed(*head);
    }
    co_return idle;
}

Task<Result<std::vector<DeadLetter>>> State::dead_letters(std::shared_ptr<State> self) {
    std::vector<DeadLetter> all;
    for (const auto& publisher : self->publishers_) {
        auto dead = co_await publisher->store().dead_letters(dead_letter_page);
        if (!dead) co_return dead.error();
        std::move(dead->begin(), dead->end(), std::back_inserter(all));
    }
    co_return all;
}

Error no_dead_letter() {
    return Error(ErrorKind::not_found, "no_dead_letter", "there is no such dead letter");
}

Task<Result<void>> State::replay_dead(
    std::shared_ptr<State> self, std::string consumer, std::string event_id
) {
    for (const auto& publisher : self->publishers_) {
        Result<bool> revived = co_await publisher->store().revive(consumer, event_id);
        if (!revived) co_return revived.error();
        if (!*revived) continue;
        for (const auto& delivery : publisher->deliveries())
            if (delivery->consumer() == consumer) delivery->rows_changed();
        co_return Result<void>();
    }
    co_return no_dead_letter();
}

Task<Result<void>> State::drop_dead(
    std::shared_ptr<State> self, std::string consumer, std::string event_id
) {
    for (const auto& publisher : self->publishers_) {
        Result<bool> dropped = co_await publisher->store().drop(consumer, event_id);
        if (!dropped) co_return dropped.error();
        if (*dropped) co_return Result<void>();
    }
    co_return no_dead_letter();
}

/// Callers may run on any thread; the bus does all its work on its own executor.
class EmbeddedBus final : public EventBus {
public:
    explicit EmbeddedBus(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~EmbeddedBus() override {
        asio::post(state_->executor(), [state = state_] { state->halt(); });
    }
    EmbeddedBus(const EmbeddedBus&) = delete;
    EmbeddedBus& operator=(const EmbeddedBus&) = delete;

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
        return on_executor(State::replay_dead(state_, std::move(consumer), std::move(event_id)));
    }
    Task<Result<void>> drop_dead(std::string consumer, std::string event_id) override {
        return on_executor(State::drop_dead(state_, std::move(consumer), std::move(event_id)));
    }

private:
    template <class T>
    Task<T> on_executor(Task<T> work) {
        return asio::co_spawn(state_->executor(), std::move(work), use_task);
    }

    std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<EventBus> make_embedded_bus(
    Executor executor, Clock& clock, Metrics& metrics, EmbeddedBusOptions options
) {
    return std::make_unique<EmbeddedBus>(std::make_shared<State>(executor, clock, metrics, options)
    );
}

}  // namespace souk::events
