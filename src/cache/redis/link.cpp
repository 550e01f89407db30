#include "cache/redis/link.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <random>

namespace souk::cache {
namespace {

constexpr std::size_t max_under_way = 4096;
constexpr std::size_t max_bytes_queued = std::size_t{16} << 20;
constexpr milliseconds shortest_pause{50};
constexpr milliseconds longest_pause{1000};
constexpr milliseconds steady_after{1000};  // a session that lived so long was none that flaps

milliseconds between(milliseconds low, milliseconds high) {
    thread_local std::mt19937 engine{std::random_device{}()};
    std::uniform_int_distribution<milliseconds::rep> any(low.count(), high.count());
    return milliseconds(any(engine));
}

/// Faults that trying again does not mend: at start they are the operator's to hear.
bool is_definite(const Error& error) {
    return error.code != "redis_away";
}

}  // namespace

LinkMetrics::LinkMetrics(Metrics& metrics)
    : commands(metrics.counter("redis_commands_total", "Commands sent to Redis"))
    , writes(metrics.counter("redis_writes_total", "Writes that carried them")) {}

Link::Link(Executor home, Clock& clock, LinkMetrics metrics, LinkOptions options, LinkEvents events)
    : home_(home)
    , clock_(clock)
    , metrics_(metrics)
    , options_(std::move(options))
    , events_(std::move(events))
    , pause_(home, clock)
    , tick_(home, clock) {}

Task<Result<void>> Link::open() {
    Executor executor = co_await this_executor();
    auto signal = base::Signal::make(executor);
    opener_ = std::make_shared<Call>(signal, SteadyTime::max());
    Attendance attendance(opener_, std::move(signal));
    auto self = shared_from_this();
    spawn(home_, [self] { return run(self); });
    spawn(home_, [self] { return watch(self); });
    if (!co_await attendance.wait())
        co_return Error(ErrorKind::timeout, "cancelled", "nobody waits for Redis any more");
    std::lock_guard lock(mutex_);
    if (first_error_) co_return *first_error_;
    co_return Result<void>();
}

void Link::close() {
    up_ = false;
    if (closed_.exchange(true)) return;
    asio::post(home_, [self = shared_from_this()] {
        if (auto transport = self->transport_.lock()) transport->close();
        self->pause_.notify();
        self->tick_.notify();
    });
}

Task<Reply> Link::call(std::string command) {
    if (!up_) co_return Reply();
    Executor executor = co_await this_executor();
    auto signal = base::Signal::make(executor);
    auto call = std::make_shared<Call>(signal, clock_.steady() + options_.timeout);
    Attendance attendance(call, std::move(signal));
    if (!enqueue(call, std::move(command))) co_return Reply();
    co_await attendance.wait();
    co_return call->take();
}

bool Link::enqueue(std::shared_ptr<Call> call, std::string command) {
    const std::size_t size = command.size();
    std::lock_guard lock(mutex_);
    if (!up_ || under_way_ >= max_under_way) return false;
    if (bytes_queued_ + size > max_bytes_queued) return false;
    ++under_way_;
    bytes_queued_ += size;
    const bool first = queue_.empty();
    queue_.push_back(Asked{std::move(call), std::move(command)});
    if (first) asio::post(home_, [self = shared_from_this()] { self->send_queued(); });
    return true;
}

void Link::send_queued() {
    std::vector<Asked> asked;
    {
        std::lock_guard lock(mutex_);
        asked.swap(queue_);
    }
    const auto transport = transport_.lock();
    if (!up_ || !transport) {
        for (const Asked& one : asked) {
            --under_way_;
            bytes_queued_ -= one.command.size();
            one.call->answer(Reply());
        }
        return;
    }
    for (Asked& one : asked) {
        outgoing_ += one.command;
        waiting_.push_back(std::move(one.call));
    }
    metrics_.commands.add(static_cast<double>(asked.size()));
    if (writing_ || outgoing_.empty()) return;
    writing_ = true;
    spawn(home_, [self = shared_from_this(), transport] { return write(self, transport); });
}

Task<void> Link::write(std::shared_ptr<Link> self, std::shared_ptr<Transport> transport) {
    std::string bytes;
    while (!self->outgoing_.empty() && self->transport_.lock() == transport) {
        bytes.clear();
        bytes.swap(self->outgoing_);
        self->metrics_.writes.add();
        auto error = co_await transport->write(bytes);
        self->bytes_queued_ -= bytes.size();
        if (error) {
            transport->close();
            break;
        }
    }
    if (self->transport_.lock() == transport) self->writing_ = false;
}

std::string Link::fault() const {
    std::lock_guard lock(mutex_);
    return fault_;
}

void Link::set_fault(std::string text) {
    std::lock_guard lock(mutex_);
    fault_ = std::move(text);
}

void Link::complain(const Reply& error) {
    {
        std::lock_guard lock(mutex_);
        if (!fault_.empty()) return;  // told before
        fault_ = "Redis refuses: " + error.text;
    }
    log_.warn("redis refuses what is asked", {{"answer", error.text}});
}

void Link::report(const Error& error) {
    if (fault() == error.detail) return;
    set_fault(error.detail);
    log_.warn("redis is away; going on without", {{"code", error.code}, {"why", error.detail}});
}

void Link::conclude_first_attempt(std::optional<Error> error) {
    if (!opener_) return;
    {
        std::lock_guard lock(mutex_);
        first_error_ = std::move(error);
    }
    opener_->answer(Reply(Reply::Kind::status));
    opener_.reset();
}

Task<void> Link::run(std::shared_ptr<Link> self) {
    milliseconds pause = shortest_pause;
    while (!self->closed_) {
        const SteadyTime begun = self->clock_.steady();
        auto error = co_await self->session();
        if (self->closed_) break;
        if (error) {
            self->report(*error);
            if (self->opener_ && is_definite(*error)) {
                self->closed_ = true;
                self->tick_.notify();
                self->conclude_first_attempt(std::move(error));
                co_return;
            }
        }
        self->conclude_first_attempt(std::nullopt);
        if (self->clock_.steady() - begun >= steady_after) pause = shortest_pause;
        co_await self->pause_.wait(between(shortest_pause, pause));
        pause = std::min(pause * 2, longest_pause);
    }
    self->conclude_first_attempt(std::nullopt);
}

void Link::come_up() {
    set_fault("");
    last_heard_ = clock_.steady();
    up_ = true;
    if (events_.on_up) events_.on_up();
    log_.info("connected to redis", {{"as", options_.name}});
    conclude_first_attempt(std::nullopt);
}

void Link::go_down() {
    const bool was_up = up_.exchange(false);
    send_queued();  // answers what came in between
    transport_.reset();
    bytes_queued_ -= outgoing_.size();
    outgoing_.clear();
    writing_ = false;
    while (!waiting_.empty()) {
        waiting_.front()->answer(Reply());
        waiting_.pop_front();
        --under_way_;
    }
    if (was_up && !closed_ && events_.on_down) events_.on_down();
}

bool Link::dispatch(Reply reply) {
    last_heard_ = clock_.steady();
    const bool pushed = reply.items.size() == 3 && reply.items[0].text == "message";
    if (!options_.channel.empty() && pushed) {
        events_.on_message(reply.items[2].text);
        return true;
    }
    if (waiting_.empty()) return false;
    // After a failover this is a replica; the name leads to the new primary by now.
    const bool misplaced = reply.is_error("READONLY");
    waiting_.front()->answer(std::move(reply));
    waiting_.pop_front();
    --under_way_;
    return !misplaced;
}

Task<void> Link::watch(std::shared_ptr<Link> self) {
    const milliseconds pace =
        std::clamp<milliseconds>(self->options_.timeout / 4, milliseconds(10), milliseconds(100));
    while (!self->closed_) {
        co_await self->tick_.wait(pace);
        if (!self->closed_) self->look_after();
    }
}

void Link::look_after() {
    const auto transport = transport_.lock();
    if (!transport) return;
    const SteadyTime now = clock_.steady();
    if (!up_) {
        if (now >= attempt_ends_) transport->close();
        return;
    }
    answer_overdue(now);
    // Silent for long although something is due: a peer that is gone without a word.
    const bool silent = now - last_heard_ >= 2 * options_.timeout;
    if (silent && !waiting_.empty() && waiting_.front()->deadline + options_.timeout <= now) {
        set_fault("Redis does not answer");
        log_.warn("redis does not answer; connecting anew");
        transport->close();
        return;
    }
    ping(now);
}

void Link::answer_overdue(SteadyTime now) {
    // They keep their place: the answer may still come, and is nobody's then.
    for (const auto& call : waiting_) {
        if (call->deadline > now) break;
        call->answer(Reply());
    }
}

void Link::ping(SteadyTime now) {
    if (!waiting_.empty() || now - last_heard_ < std::max(options_.timeout, milliseconds(500)))
        return;
    enqueue(std::make_shared<Call>(nullptr, now + options_.timeout), format_command({"PING"}));
}

}  // namespace souk::cache
