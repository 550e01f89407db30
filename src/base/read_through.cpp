#include "base/signal.hpp"
#include "souk/cache.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <list>
#include <mutex>
#include <random>
#include <unordered_map>

namespace souk {

Task<CacheLookup> Cache::lookup(std::string_view key, milliseconds) {
    auto value = co_await get(key);
    co_return CacheLookup(std::move(value));
}
Task<void> Cache::fill(std::string_view, std::uint64_t, std::string, milliseconds) {
    co_return;
}
Task<void> Cache::abandon(std::string_view, std::uint64_t) {
    co_return;
}

namespace {

using base::Signal;

// How long other processes wait for the one that has the lease, in steps that grow, before they
// load for themselves: about what a slow query takes.
constexpr milliseconds first_look_again{5};
constexpr milliseconds patience{150};
// After a process that died while it loaded.
constexpr milliseconds lease_ttl{2000};
// To look for a value in a server, to take the lease there and to fill it costs more than a load or
// two more in such a time, so each process keeps these for itself.
constexpr milliseconds short_lived{2000};

std::mt19937_64& randomness() {
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return engine;
}

milliseconds jittered(milliseconds ttl) {
    const auto tenth = ttl.count() / 10;
    std::uniform_int_distribution<milliseconds::rep> by(-tenth, tenth);
    return ttl + milliseconds(by(randomness()));
}

Error too_late() {
    return Error(ErrorKind::timeout, "timeout", "the deadline passed while another one loaded it");
}

}  // namespace

struct ReadThrough::State {
    State(Cache& cache, Clock& clock) : cache(cache), clock(clock) {}

    /// One load that runs; those who wait for it are woken under the lock, since the context of
    /// one who waits lives as long as it is in the list.
    struct Flight {
        std::list<std::shared_ptr<Signal>> waiting;
        std::optional<Result<std::string>> result;  // empty at the end: somebody else has to load
    };
    using FlightRef = std::shared_ptr<Flight>;
    using Place = std::list<std::shared_ptr<Signal>>::iterator;

    /// Who asks first leads; the others wait in the flight's list.
    struct Seat {
        Seat(FlightRef flight, bool leads, Place place)
            : flight(std::move(flight)), leads(leads), place(place) {}
        FlightRef flight;
        bool leads;
        Place place;
    };
    class Leader;
    class Follower;

    Seat take_seat(const std::string& key, const Executor& executor);

    Task<Result<std::string>> lead(
        FlightRef flight, std::string key, milliseconds ttl, Deadline deadline, Load load
    );
    /// Nothing when the one who loaded gave up without a result.
    Task<std::optional<Result<std::string>>> follow(
        FlightRef flight, Place place, Deadline deadline
    );
    Task<Result<std::string>> cached_or_load(
        const std::string& key, milliseconds ttl, Deadline deadline, const Load& load
    );
    /// Looks again until there is a value or a lease, or it is time to do without.
    Task<CacheLookup> look_up(Cache& where, const std::string& key, Deadline deadline);

    Cache& cache;
    Clock& clock;
    std::mutex mutex;
    std::unordered_map<std::string, FlightRef> flights;
};

/// Ends the flight however the coroutine that leads it ends.
class ReadThrough::State::Leader {
public:
    Leader(State& state, FlightRef flight, const std::string& key)
        : state_(state), flight_(std::move(flight)), key_(key) {}
    ~Leader() {
        std::lock_guard lock(state_.mutex);
        state_.flights.erase(key_);
        for (const auto& signal : flight_->waiting)
            signal->set();
    }
    Leader(const Leader&) = delete;
    Leader& operator=(const Leader&) = delete;

    /// One's own lack of time is nobody else's.
    void share(const Result<std::string>& result) {
        if (!result && result.error().kind == ErrorKind::timeout) return;
        std::lock_guard lock(state_.mutex);
        flight_->result = result;
    }

private:
    State& state_;
    FlightRef flight_;
    const std::string& key_;
};

/// Leaves the list however the coroutine that waits ends.
class ReadThrough::State::Follower {
public:
    Follower(State& state, FlightRef flight, Place place)
        : state_(state), flight_(std::move(flight)), place_(place) {}
    ~Follower() {
        std::lock_guard lock(state_.mutex);
        flight_->waiting.erase(place_);
    }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

private:
    State& state_;
    FlightRef flight_;
    Place place_;
};

ReadThrough::State::Seat ReadThrough::State::take_seat(
    const std::string& key, const Executor& executor
) {
    std::lock_guard lock(mutex);
    auto [found, created] = flights.try_emplace(key);
    if (created) {
        found->second = std::make_shared<Flight>();
        return Seat(found->second, true, {});
    }
    auto& waiting = found->second->waiting;
    waiting.push_back(Signal::make(executor));
    return Seat(found->second, false, std::prev(waiting.end()));
}

Task<CacheLookup> ReadThrough::State::look_up(
    Cache& where, const std::string& key, Deadline deadline
) {
    milliseconds waited{0};
    milliseconds pause = first_look_again;
    for (;;) {
        auto found = co_await where.lookup(key, lease_ttl);
        if (!found.being_filled || waited >= patience) co_return found;
        if (deadline.remaining(clock) <= pause) co_return found;
        co_await clock.sleep(jittered(pause));
        waited += pause;
        pause *= 2;
    }
}

Task<Result<std::string>> ReadThrough::State::cached_or_load(
    const std::string& key, milliseconds ttl, Deadline deadline, const Load& load
) {
    Cache& where = ttl <= short_lived ? cache.nearby() : cache;
    auto found = co_await look_up(where, key, deadline);
    if (found.value) co_return std::move(*found.value);
    auto loaded = co_await load();
    if (found.lease == 0) co_return loaded;
    if (loaded) {
        co_await where.fill(key, found.lease, *loaded, jittered(ttl));
    } else {
        co_await where.abandon(key, found.lease);
    }
    co_return loaded;
}

Task<Result<std::string>> ReadThrough::State::lead(
    FlightRef flight, std::string key, milliseconds ttl, Deadline deadline, Load load
) {
    Leader leader(*this, std::move(flight), key);
    auto result = co_await cached_or_load(key, ttl, deadline, load);
    leader.share(result);
    co_return result;
}

Task<std::optional<Result<std::string>>> ReadThrough::State::follow(
    FlightRef flight, Place place, Deadline deadline
) {
    using namespace asio::experimental::awaitable_operators;
    Follower follower(*this, flight, place);
    auto woken = (*place)->wait();
    if (deadline.at() == SteadyTime::max()) {
        co_await std::move(woken);
    } else {
        auto first = std::move(woken) || clock.sleep(deadline.remaining(clock));
        co_await std::move(first);
    }
    std::lock_guard lock(mutex);
    co_return flight->result;
}

ReadThrough::ReadThrough(Cache& cache, Clock& clock)
    : state_(std::make_unique<State>(cache, clock)) {}

ReadThrough::~ReadThrough() = default;

Task<Result<std::string>> ReadThrough::read(
    std::string key, milliseconds ttl, Deadline deadline, Load load
) {
    Executor executor = co_await this_executor();
    for (;;) {
        auto value = co_await state_->cache.nearby().get(key);
        if (value) co_return std::move(*value);
        auto seat = state_->take_seat(key, executor);
        if (seat.leads) {
            co_return co_await state_->lead(
                std::move(seat.flight), std::move(key), ttl, deadline, std::move(load)
            );
        }
        auto result = co_await state_->follow(std::move(seat.flight), seat.place, deadline);
        if (result) co_return std::move(*result);
        if (deadline.passed(state_->clock)) co_return too_late();
    }
}

}  // namespace souk
