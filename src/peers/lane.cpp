#include "peers/lane.hpp"

#include "base/signal.hpp"
#include "http/tls.hpp"
#include "peers/wire.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <utility>

namespace souk::peers {
namespace {

// Who gave the peer less time than this learns nothing about it from its silence.
constexpr milliseconds patience{100};
// Of an answer that streams, so much must come within LaneOptions::part_timeout.
constexpr std::size_t part_bytes = 64 * 1024;

Error too_long() {
    return unavailable("broken", "the answer is too long");
}

/// All of a request, or all but its body when that streams: then the peer is told no deadline, for
/// nobody knows yet when its time begins.
std::string request_bytes(const Outgoing& call, const Endpoint& endpoint, microseconds left) {
    std::string bytes;
    const auto& host = endpoint.host;
    if (call.stream) {
        http::write_streamed_head(
            bytes, call.method, call.target, host, call.headers, call.stream->length()
        );
        return bytes;
    }
    const auto left_ms = std::chrono::floor<milliseconds>(std::max(left, microseconds(0)));
    std::string deadline(field::deadline);
    deadline.append(": ").append(std::to_string(left_ms.count())).append("\r\n");
    http::write_request(bytes, call.method, call.target, host, call.headers, call.body, deadline);
    return bytes;
}

}  // namespace

struct Lane::Link {
    Link(const Executor& executor, std::size_t answer_bytes) : connection(executor, answer_bytes) {}
    http::ClientConnection connection;
    SteadyTime idle_since{};
};

/// An endpoint and this thread's connections to it.
struct Lane::Slot {
    explicit Slot(std::shared_ptr<Endpoint> endpoint) : endpoint(std::move(endpoint)) {}
    std::shared_ptr<Endpoint> endpoint;
    std::vector<std::unique_ptr<Link>> idle;  // the last used last
    std::size_t open = 0;                     // idle or at work
    bool gone = false;                        // no longer in DNS
};

/// A connection at work; goes back to its slot, however the coroutine ends.
class Lane::Lease {
public:
    Lease(std::shared_ptr<Lane> lane, SlotPtr slot)
        : lane_(std::move(lane)), slot_(std::move(slot)) {
        ++slot_->endpoint->in_flight;
        while (!slot_->idle.empty() && !link_) {
            link_ = std::move(slot_->idle.back());
            slot_->idle.pop_back();
            if (link_->connection.usable() && link_->connection.is_current()) continue;
            link_.reset();
            --slot_->open;
        }
        kept_ = link_ != nullptr;
        if (kept_) return;
        link_ = std::make_unique<Link>(lane_->executor_, lane_->options_.answer_bytes);
        ++slot_->open;
    }
    Lease(Lease&& other) noexcept
        : lane_(std::move(other.lane_))
        , slot_(std::move(other.slot_))
        , link_(std::move(other.link_))
        , kept_(other.kept_)
        , done_(other.done_) {}
    ~Lease() {
        if (!slot_) return;  // moved from
        --slot_->endpoint->in_flight;
        const bool keep = done_ && !slot_->gone && !lane_->stopped_ && link_->connection.is_open();
        if (keep) {
            link_->idle_since = lane_->clock_.steady();
            slot_->idle.push_back(std::move(link_));
        } else {
            --slot_->open;
        }
        lane_->wake_one();
    }

    http::ClientConnection& connection() { return link_->connection; }
    Endpoint& endpoint() { return *slot_->endpoint; }
    Lane& lane() { return *lane_; }
    bool was_kept() const { return kept_; }
    /// An exchange ended in order: the connection may serve again.
    void set_done() { done_ = true; }

private:
    std::shared_ptr<Lane> lane_;
    SlotPtr slot_;
    std::unique_ptr<Link> link_;
    bool kept_ = false;
    bool done_ = false;
};

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

/// The body of a request on its way: while its source is asked, the source's own limits hold;
/// while it is sent, the lane's; when all of it was sent, the time for the answer begins.
class Lane::Upload final : public http::BodyStream {
public:
    Upload(
        std::shared_ptr<http::BodyStream> source,
        Expiries::Entry& limit,
        microseconds for_answer,
        Lane& lane
    )
        : source_(std::move(source)), limit_(&limit), for_answer_(for_answer), lane_(lane) {}
    /// The limit is gone, or another's. Before that, `lane` cannot go.
    void forget_limit() { limit_ = nullptr; }
    /// Forgets it also when an exception ends who made it: the body may be read on beside it.
    struct Limited {
        explicit Limited(Upload* upload) : upload(upload) {}
        ~Limited() {
            if (upload != nullptr) upload->forget_limit();
        }
        Limited(const Limited&) = delete;
        Upload* const upload;
    };

    Task<Result<std::string>> read() override {
        if (limit_ != nullptr) limit_->move(SteadyTime::max());
        auto part = co_await source_->read();
        if (limit_ == nullptr) co_return part;
        const bool end = part && part->empty();
        // Who takes no part of it for so long would not answer in time, either.
        const microseconds to_send =
            std::min<microseconds>(for_answer_, lane_.options_.part_timeout);
        limit_->move(lane_.clock_.steady() + (end ? for_answer_ : to_send));
        co_return part;
    }
    std::optional<std::uint64_t> length() const override { return source_->length(); }

private:
    std::shared_ptr<http::BodyStream> source_;
    Expiries::Entry* limit_;
    const microseconds for_answer_;
    Lane& lane_;
};

/// The body of a long answer, with the connection that it comes on.
class Lane::Download final : public http::BodyStream {
public:
    Download(Lease lease, std::optional<std::uint64_t> length)
        : lease_(std::move(lease)), length_(length) {}

    Task<Result<std::string>> read() override {
        if (!lease_) co_return std::string();
        Lane& lane = lease_->lane();
        auto& connection = lease_->connection();
        if (until_more_time_ == 0) {
            until_more_time_ = part_bytes;
            time_left_ = lane.options_.part_timeout;
        }
        const SteadyTime began = lane.clock_.steady();
        std::optional<Expiries::Entry> limit;
        limit.emplace(*lane.expiries_, began + time_left_, [&connection] { connection.close(); });
        auto part = co_await connection.read_part();
        limit.reset();
        time_left_ -= lane.clock_.steady() - began;
        if (part && !part->empty()) {
            received_ += part->size();
            until_more_time_ -= std::min(until_more_time_, part->size());
            if (received_ <= lane.options_.streamed_bytes) co_return part;
            part = too_long();
        }
        if (part)
            lease_->set_done();
        else
            lane.report_failure(lease_->endpoint());
        lease_.reset();
        co_return part;
    }
    std::optional<std::uint64_t> length() const override { return length_; }

private:
    std::optional<Lease> lease_;  // none at the end
    const std::optional<std::uint64_t> length_;
    std::uint64_t received_ = 0;
    // What is left of the time for the next 64 KiB: the peer's only, while somebody asks.
    microseconds time_left_{0};
    std::size_t until_more_time_ = 0;
};

namespace {

/// What an answer to HEAD says of the body that it does not have.
class NoBody final : public http::BodyStream {
public:
    explicit NoBody(std::optional<std::uint64_t> length) : length_(length) {}
    Task<Result<std::string>> read() override { co_return std::string(); }
    std::optional<std::uint64_t> length() const override { return length_; }

private:
    const std::optional<std::uint64_t> length_;
};

}  // namespace

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
    }
    slots_ = std::move(slots);
    known_ = true;
    wake_all();
}

Task<Attempt> Lane::attempt(
    std::shared_ptr<const Outgoing> call, SteadyTime until, std::shared_ptr<Endpoint> avoid
) {
    expiries_->start();
    Claim claimed = claim_at_once(avoid.get());
    if (!claimed.slot) {
        Claim waited = co_await claim(until, std::move(avoid));
        claimed = std::move(waited);
    }
    if (!claimed.slot) co_return Attempt(claimed.end, std::move(claimed.why));
    auto endpoint = claimed.slot->endpoint;
    Lease lease(shared_from_this(), std::move(claimed.slot));
    const bool hurried = until - clock_.steady() < patience;
    Attempt made = co_await use(lease, std::move(call), until);
    made.blames_peer = made.end == Attempt::End::failed || (made.is_late() && !hurried);
    // A caller that went away ends its connection itself.
    const auto caller = co_await asio::this_coro::cancellation_state;
    if (caller.cancelled() != asio::cancellation_type::none) made.blames_peer = false;
    made.endpoint = std::move(endpoint);
    co_return made;
}

Task<Attempt> Lane::use(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until) {
    // What can be sent once only does not meet the end of a kept connection.
    if (lease.was_kept() && !call->stream) {
        Attempt made = co_await converse(lease, call, until);
        // The server's idle limit may have met our request on its way: once more, on a fresh one.
        const bool stale = made.end == Attempt::End::failed && !lease.connection().answered();
        if (!stale || !call->repeatable) co_return made;
    }
    auto fault = co_await connect(lease, until);
    if (fault) co_return std::move(*fault);
    co_return co_await converse(lease, std::move(call), until);
}

Task<std::optional<Attempt>> Lane::connect(Lease& lease, SteadyTime until) {
    const Endpoint& endpoint = lease.endpoint();
    const SteadyTime last = std::min(until, clock_.steady() + options_.connect_timeout);
    auto& connection = lease.connection();
    Expiries::Entry limit(*expiries_, last, [&connection] { connection.close(); });
    auto tls = endpoint.address.tls ? tls_ : nullptr;
    auto done = co_await connection.connect(endpoint.at, std::move(tls), endpoint.address.host);
    std::optional<Attempt> fault;
    if (!done) {
        fault.emplace(Attempt::End::failed, "cannot connect: " + done.error().detail);
        fault->sent = false;
    }
    co_return fault;
}

Task<Attempt> Lane::converse(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until) {
    if (call->forwarded) return relay(lease, std::move(call), until);
    return exchange(lease, std::move(call), until);
}

Task<Attempt> Lane::exchange(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until) {
    auto& connection = lease.connection();
    const auto bytes = request_bytes(*call, lease.endpoint(), until - clock_.steady());
    Expiries::Entry limit(*expiries_, until, [&connection] { connection.close(); });
    auto response = co_await connection.exchange(bytes, false);
    if (response) {
        lease.set_done();
        co_return Attempt(std::move(*response));
    }
    if (limit.is_over()) co_return Attempt(Attempt::End::late, "no answer came in time");
    co_return Attempt(Attempt::End::failed, std::move(response.error().detail));
}

Task<Attempt> Lane::relay(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until) {
    auto& connection = lease.connection();
    const microseconds left = until - clock_.steady();
    const auto bytes = request_bytes(*call, lease.endpoint(), left);
    Expiries::Entry limit(*expiries_, until, [&connection] { connection.close(); });
    std::shared_ptr<Upload> upload;
    if (call->stream) upload = std::make_shared<Upload>(call->stream, limit, left, *this);
    const Upload::Limited limited(upload.get());
    const bool head_only = call->method == http::Method::head;
    auto response = co_await connection.begin(bytes, upload, head_only);
    if (upload) {
        upload->forget_limit();
        limit.move(clock_.steady() + left);
    }
    if (response) response = co_await receive(lease, std::move(*response), head_only);
    if (response) co_return Attempt(std::move(*response));
    if (const auto& fault = connection.body_fault()) {
        Attempt made(Attempt::End::no_body, "the request's body cannot be read");
        made.body_fault = fault;
        co_return made;
    }
    if (limit.is_over()) co_return Attempt(Attempt::End::late, "no answer came in time");
    co_return Attempt(Attempt::End::failed, std::move(response.error().detail));
}

/// A short answer whole, of a long one what it takes to read it.
Task<Result<http::Response>> Lane::receive(Lease& lease, http::Response head, bool head_only) {
    auto& connection = lease.connection();
    // Where the connection's end ends the body, nobody knows whether it was cut off.
    if (!connection.is_framed()) co_return unavailable("broken", "an answer without a length");
    const auto length = connection.answer_length();
    const bool is_long =
        !connection.is_complete() && length.value_or(SIZE_MAX) > options_.whole_bytes;
    if (is_long) {
        if (length.value_or(0) > options_.streamed_bytes) co_return too_long();
        head.stream = std::make_shared<Download>(std::move(lease), length);
        co_return head;
    }
    while (!connection.is_complete()) {
        auto part = co_await connection.read_part();
        if (!part) co_return part.error();
        head.body += *part;
    }
    if (head.body.empty())
        head.body = connection.take_rest();
    else
        head.body += connection.take_rest();
    lease.set_done();
    if (head_only) head.stream = std::make_shared<NoBody>(length);
    co_return head;
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
        left = left || !slot->idle.empty();
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
}

}  // namespace souk::peers
