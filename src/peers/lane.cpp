#include "peers/lane.hpp"

#include "base/signal.hpp"
#include "http/tls.hpp"
#include "peers/lane_lease.hpp"
#include "peers/wire.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace souk::peers {
namespace {

// Who gave the peer less time than this learns nothing about it from its silence.
constexpr milliseconds patience{100};

}  // namespace

/// A call without a connection, in the queue until it is woken or its coroutine ends.
class Lane::Waiter {
public:
    Waiter(Lane& lane, bool first)
        : lane_(lane.shared_from_this()), signal_(base::Signal::make(lane.executor_)) {
        if (first) {
            lane.waiters_.push_front(this);
        } else {
            lane.waiters_.push_back(this);
        }
    }
    ~Waiter() {
        std::erase(lane_->waiters_, this);
        if (woken_ && !heard_) lane_->wake_one();
    }
    Waiter(const Waiter&) = delete;

    void wake() {
        woken_ = true;
        signal_->set();
    }
    void give_up() { signal_->set(); }
    Task<void> wait() {
        co_await signal_->wait();
        heard_ = true;
    }

private:
    std::shared_ptr<Lane> lane_;
    std::shared_ptr<base::Signal> signal_;
    bool woken_ = false;
    bool heard_ = false;
};

Lane::Lane(
    Executor executor,
    LaneOptions options,
    Clock& clock,
    std::shared_ptr<http::Tls> tls,
    std::function<void()> on_failure
)
    : executor_(executor)
    , options_(options)
    , clock_(clock)
    , tls_(std::move(tls))
    , on_failure_(std::move(on_failure))
    , expiries_(std::make_shared<Expiries>(
          executor, clock, options.idle_timeout / 2, [this] { return drop_idle(); }
      ))
    , random_(std::random_device()()) {}

Lane::~Lane() = default;

void Lane::set_endpoints(const Endpoints& endpoints) {
    std::vector<SlotPtr> slots;
    for (const auto& endpoint : endpoints) {
        const auto known = std::find_if(slots_.begin(), slots_.end(), [&](const SlotPtr& slot) {
            return slot->endpoint == endpoint;
        });
        slots.push_back(known != slots_.end() ? *known : std::make_shared<Slot>(endpoint));
    }
    for (const auto& slot : slots_) {
        if (std::find(slots.begin(), slots.end(), slot) != slots.end()) continue;
        slot->gone = true;
        slot->open -= slot->idle.size();
        slot->idle.clear();
        for (auto& link : slot->shared)
            link.connection->retire();
    }
    slots_ = std::move(slots);
    known_ = true;
    wake_all();
}

Task<Attempt> Lane::attempt(
    std::shared_ptr<const Outgoing> call, SteadyTime until, std::shared_ptr<Endpoint> avoid
) {
    expiries_->start();
    std::optional<Attempt> made;
    if (auto slot = shared_slot(*call, avoid.get())) {
        auto shared = co_await share(std::move(slot), call, until);
        made = std::move(shared);
    }
    if (!made) {
        Attempt alone = co_await lease(std::move(call), until, std::move(avoid));
        made.emplace(std::move(alone));
    }
    // A caller that went away ends its connection itself.
    const auto caller = co_await asio::this_coro::cancellation_state;
    if (caller.cancelled() != asio::cancellation_type::none) made->blames_peer = false;
    co_return std::move(*made);
}

/// On a connection that it has for itself.
Task<Attempt> Lane::lease(
    std::shared_ptr<const Outgoing> call, SteadyTime until, std::shared_ptr<Endpoint> avoid
) {
    Claim claimed = claim_at_once(avoid.get());
    if (!claimed.slot) {
        Claim waited = co_await claim(until, std::move(avoid));
        claimed = std::move(waited);
    }
    if (!claimed.slot) co_return Attempt(claimed.end, std::move(claimed.why));
    auto slot = claimed.slot;
    Lease lease(shared_from_this(), std::move(claimed.slot));
    const bool hurried = is_hurried(until);
    Attempt made = co_await use(lease, std::move(call), until);
    made.blames_peer = made.end == Attempt::End::failed || (made.is_late() && !hurried);
    if (made.end == Attempt::End::answered)
        slot->shares = made.response.headers.get(field::admitted) == field::admitted_shares;
    made.endpoint = slot->endpoint;
    co_return made;
}

bool Lane::is_hurried(SteadyTime until) const {
    return until - clock_.steady() < patience;
}

/// A slot with room, unless others wait for one.
Lane::Claim Lane::claim_at_once(const Endpoint* avoid) {
    SlotPtr slot;
    if (waiters_.empty() && !refusal()) slot = choose(avoid);
    return Claim(std::move(slot));
}

/// A slot with room, when there is one at last.
Task<Lane::Claim> Lane::claim(SteadyTime until, std::shared_ptr<Endpoint> avoid) {
    bool woken = false;
    for (;;) {
        if (auto refused = refusal()) co_return std::move(*refused);
        // Who waits already goes first.
        if (woken || waiters_.empty())
            if (auto slot = choose(avoid.get())) co_return Claim(std::move(slot));
        if (waiters_.size() >= options_.waiters)
            co_return Claim(Attempt::End::refused, "too many calls wait for a connection");
        Waiter waiter(*this, woken);
        Expiries::Entry limit(*expiries_, until, [&waiter] { waiter.give_up(); });
        co_await waiter.wait();
        if (limit.is_over()) co_return Claim(Attempt::End::late, "no connection came free in time");
        woken = true;
    }
}

std::optional<Lane::Claim> Lane::refusal() const {
    if (stopped_) return Claim(Attempt::End::refused, "this process is stopping");
    if (known_ && slots_.empty()) return Claim(Attempt::End::failed, "no address of it is known");
    return std::nullopt;
}

bool Lane::has_room(const Slot& slot) const {
    return !slot.idle.empty() || slot.open < options_.connections;
}

/// The less busy of two random endpoints that are sound; of all when none is. Null when those are
/// full.
Lane::SlotPtr Lane::choose(const Endpoint* avoid) {
    const SteadyTime now = clock_.steady();
    const auto is_sound = [&](const SlotPtr& slot) { return !slot->endpoint->is_ejected(now); };
    const auto sound_ones = std::count_if(slots_.begin(), slots_.end(), is_sound);
    boost::container::small_vector<const SlotPtr*, 16> fit;
    for (const auto& slot : slots_) {
        if (sound_ones > 0 && !is_sound(slot)) continue;
        if (sound_ones > 1 && slot->endpoint.get() == avoid) continue;
        if (has_room(*slot)) fit.push_back(&slot);
    }
    if (fit.empty()) return nullptr;
    const std::size_t first = random_() % fit.size();
    const std::size_t step = fit.size() > 1 ? 1 + random_() % (fit.size() - 1) : 0;
    const SlotPtr& a = *fit[first];
    const SlotPtr& b = *fit[(first + step) % fit.size()];
    return b->endpoint->in_flight < a->endpoint->in_flight ? b : a;
}

/// Counts a failure against the endpoint, which is ejected unless nobody else would be left.
void Lane::report_failure(Endpoint& endpoint) {
    on_failure_();
    if (!endpoint.failed()) return;
    const SteadyTime now = clock_.steady();
    const bool others = std::any_of(slots_.begin(), slots_.end(), [&](const SlotPtr& slot) {
        return slot->endpoint.get() != &endpoint && !slot->endpoint->is_ejected(now);
    });
    if (others && !endpoint.is_ejected(now)) endpoint.eject(now);
}

microseconds Lane::random_up_to(microseconds most) {
    return microseconds(std::uniform_int_distribution<std::int64_t>(0, most.count())(random_));
}

void Lane::wake_one() {
    if (waiters_.empty()) return;
    Waiter* first = waiters_.front();
    waiters_.pop_front();
    first->wake();
}

void Lane::wake_all() {
    while (!waiters_.empty())
        wake_one();
}

/// Closes connections that were idle for too long or lead where nobody is any more. True while
/// some are left.
bool Lane::drop_idle() {
    const SteadyTime oldest = clock_.steady() - options_.idle_timeout;
    bool left = false;
    for (const auto& slot : slots_) {
        const auto dropped = std::erase_if(slot->idle, [&](const std::unique_ptr<Link>& link) {
            return link->idle_since <= oldest || !link->connection.usable();
        });
        slot->open -= dropped;
        for (auto& link : slot->shared)
            if (link.used_at <= oldest) link.connection->retire();
        std::erase_if(slot->shared, [](const SharedLink& link) {
            return !link.connection->is_open();
        });
        left = left || !slot->idle.empty() || !slot->shared.empty();
    }
    return left;
}

Task<void> Lane::stop() {
    auto self = shared_from_this();
    stopped_ = true;
    wake_all();
    for (const auto& slot : slots_) {
        slot->open -= slot->idle.size();
        slot->idle.clear();
    }
    co_await expiries_->stop();
    for (const auto& slot : slots_)
        for (auto& link : slot->shared)
            link.connection->close();
}

}  // namespace souk::peers
