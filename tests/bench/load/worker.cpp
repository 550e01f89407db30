#include "bench/load/worker.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <limits>
#include <stdexcept>

namespace souk::bench {

namespace {

constexpr Nanoseconds sweep_interval = second / 10;
constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max() / 2;
constexpr std::uint32_t edges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

Nanoseconds thread_cpu() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * second + time.tv_nsec;
}

std::uint64_t requests_in(Nanoseconds time, double rate) {
    return static_cast<std::uint64_t>(
        std::ceil(static_cast<double>(time) / static_cast<double>(second) * rate)
    );
}

}  // namespace

void Totals::add(const Totals& other) {
    latencies.add(other.latencies);
    requests += other.requests;
    total += other.total;
    for (const auto& [status, count] : other.statuses)
        statuses[status] += count;
    bytes += other.bytes;
    faults += other.faults;
    reconnects += other.reconnects;
    measured = std::max(measured, other.measured);
    cpu += other.cpu;
    if (first_fault.empty()) first_fault = other.first_fault;
}

Worker::Worker(const Plan& plan, unsigned index)
    : plan_(plan), index_(index), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(64 * 1024) {
    if (epoll_ < 0) throw std::runtime_error(std::strerror(errno));
    for (const Target& target : plan.targets) {
        auto& requests = rendered_.emplace_back();
        for (const Request& request : plan.requests)
            requests.emplace_back(request, target.host);
    }
    for (unsigned i = index; i < plan.connections; i += plan.threads)
        connections_.emplace_back().target = i % plan.targets.size();
}

Worker::~Worker() {
    for (Connection& connection : connections_)
        if (connection.socket >= 0) ::close(connection.socket);
    ::close(epoll_);
}

// --- from begin to end ---

void Worker::connect() {
    for (Connection& connection : connections_) {
        open(connection);
        const Nanoseconds begun = now_ns();
        while (connection.state == State::connecting && now_ns() < begun + plan_.timeout)
            wait(second / 100);
        if (connection.state == State::idle) continue;
        const std::string& why = totals_.first_fault;
        throw std::runtime_error(fmt::format(
            "no connection to {}: {}",
            plan_.targets[connection.target].host,
            why.empty() ? "no answer in time" : why
        ));
    }
}

void Worker::start_at(Nanoseconds start) {
    begin_ = start + plan_.warm;
    end_ = plan_.duration > 0 ? begin_ + plan_.duration : never;
    limit_ = unlimited;
    last_alive_ = start;
    next_sweep_ = start + sweep_interval;
    if (!plan_.open_loop()) return;
    schedule_.emplace(plan_.rate, start, index_, plan_.threads);
    const std::uint64_t warm = requests_in(plan_.warm, plan_.rate);
    const std::uint64_t all =
        plan_.count > 0 ? warm + plan_.count
                        : std::max(warm, requests_in(plan_.warm + plan_.duration, plan_.rate));
    measured_from_ = share_of(warm, index_, plan_.threads);
    limit_ = share_of(all, index_, plan_.threads);
    end_ = start + static_cast<Nanoseconds>(static_cast<double>(all) / plan_.rate * 1e9);
}

void Worker::run(Nanoseconds start) {
    prctl(PR_SET_TIMERSLACK, 1);  // the default, 50 us, would show in an open loop's latencies
    start_at(start);
    Nanoseconds now = now_ns();
    while (!finished(now)) {
        wait(next_wake(now) - now);
        now = now_ns();
        if (now < start) continue;
        note_phase(now);
        issue(now);
        if (now >= next_sweep_) sweep(now);
    }
    if (limit_ != unlimited && next_ < limit_)
        fault("due, and found no connection in time", limit_ - next_);
    note_phase(std::max(now, end_ == never ? now : end_));
    const Nanoseconds last = schedule_ ? std::max(last_answer_, end_) : last_answer_;
    const bool by_clock = !schedule_ && end_ != never;
    totals_.measured = by_clock ? end_ - begin_ : std::max<Nanoseconds>(0, last - begin_);
}

// CPU is read when the measured part begins and ends, as near as events come.
void Worker::note_phase(Nanoseconds now) {
    if (!begun_ && now >= begin_) {
        begun_ = true;
        cpu_at_begin_ = thread_cpu();
        if (!schedule_ && plan_.count > 0) {
            measured_from_ = next_;
            limit_ = next_ + share_of(plan_.count, index_, plan_.threads);
        }
    }
    if (!begun_ || ended_) return;
    totals_.cpu = thread_cpu() - cpu_at_begin_;
    ended_ = now >= end_;
}

bool Worker::finished(Nanoseconds now) const {
    if (end_ != never && now > end_ + plan_.timeout) return true;
    if (now > last_alive_ + plan_.timeout + second) return true;  // nobody is there any more
    if (waiting_ > 0) return false;
    return next_ >= limit_ || (!schedule_ && now >= end_);
}

bool Worker::may_issue(Nanoseconds now) const {
    if (next_ >= limit_) return false;
    return schedule_ ? schedule_->due(next_) <= now : now < end_;
}

void Worker::issue(Nanoseconds now) {
    while (!idle_.empty() && may_issue(now)) {
        Connection& connection = *idle_.front();
        idle_.pop_front();
        send(connection, schedule_ ? schedule_->due(next_) : now, now);
    }
}

bool Worker::is_measured(const Connection& connection, Nanoseconds now) const {
    const bool by_clock = !schedule_ && plan_.count == 0;
    if (by_clock) return now >= begin_ && now < end_;
    return begun_ && connection.request / plan_.threads >= measured_from_;
}

// --- waiting ---

Nanoseconds Worker::next_wake(Nanoseconds now) const {
    Nanoseconds wake = next_sweep_;
    if (now < begin_) wake = std::min(wake, begin_);
    if (now < end_) wake = std::min(wake, end_);
    if (schedule_ && !idle_.empty() && next_ < limit_) wake = std::min(wake, schedule_->due(next_));
    return wake;
}

void Worker::wait(Nanoseconds at_most) {
    std::array<epoll_event, 256> events;
    at_most = std::max<Nanoseconds>(0, at_most);
    const timespec timeout{at_most / second, at_most % second};
    const int count =
        epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) throw std::runtime_error(std::strerror(errno));
    for (int i = 0; i < count; ++i)
        on_event(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
}

void Worker::on_event(Connection& connection, std::uint32_t events) {
    if (connection.state == State::closed) return;
    if (connection.state == State::connecting) {
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) on_connected(connection);
        return;
    }
    if (!connection.unsent.empty() && (events & EPOLLOUT) != 0) flush(connection);
    constexpr std::uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if ((events & (EPOLLIN | ends)) != 0) receive(connection, (events & ends) != 0);
}

// Timeouts, connections to be opened again, and whether anybody is there.
void Worker::sweep(Nanoseconds now) {
    next_sweep_ = now + sweep_interval;
    if (!idle_.empty()) last_alive_ = now;
    for (Connection& connection : connections_) {
        if (connection.state == State::closed)
            open(connection);
        else if (connection.state == State::waiting && now > connection.sent + plan_.timeout)
            reopen(connection, "no answer in time");
        else if (connection.state == State::connecting && now > connection.sent + plan_.timeout)
            reopen(connection, "no connection in time");
    }
}

// --- a request and its answer ---

RenderedRequest& Worker::rendered(const Connection& connection) {
    return rendered_[connection.target][connection.request % plan_.requests.size()];
}

void Worker::send(Connection& connection, Nanoseconds from, Nanoseconds now) {
    connection.request = index_ + next_++ * plan_.threads;
    connection.from = from;
    connection.sent = now;
    connection.state = State::waiting;
    ++waiting_;
    RenderedRequest& request = rendered(connection);
    connection.reader.reset(request.is_head());
    const std::string_view bytes = request.with(plan_.first_number + connection.request);
    const ssize_t sent = ::send(connection.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return;
    if (sent < 0 && errno != EAGAIN) {
        reopen(connection, std::strerror(errno));
        return;
    }
    connection.unsent = bytes.substr(static_cast<std::size_t>(std::max<ssize_t>(0, sent)));
}

void Worker::flush(Connection& connection) {
    std::string& rest = connection.unsent;
    const ssize_t sent = ::send(connection.socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) rest.erase(0, static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN) reopen(connection, std::strerror(errno));
}

// `ends`: the other side has closed, of which no further event will tell.
void Worker::receive(Connection& connection, bool ends) {
    for (;;) {
        const ssize_t size = recv(connection.socket, buffer_.data(), buffer_.size(), 0);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) {
            return reopen(connection, size < 0 ? std::strerror(errno) : "closed without an answer");
        }
        if (connection.state != State::waiting) return reopen(connection, "an answer to nothing");
        const std::string_view data(buffer_.data(), static_cast<std::size_t>(size));
        const auto progress = connection.reader.feed(data);
        if (progress == ResponseReader::Progress::broken)
            return reopen(connection, "an answer that is no HTTP/1.1 with a length");
        if (progress == ResponseReader::Progress::complete) return answered(connection, ends);
        // Less than there was room for: the socket is empty, and the next bytes bring an event.
        if (data.size() < buffer_.size() && !ends) return;
    }
}

void Worker::answered(Connection& connection, bool ends) {
    const Nanoseconds now = now_ns();
    const int status = connection.reader.status();
    const bool expected = plan_.expected.contains(status);
    const bool measured = is_measured(connection, now);
    last_alive_ = last_answer_ = now;
    --waiting_;
    connection.state = State::idle;
    if (!expected) fault(fmt::format("status {} for {}", status, rendered(connection).name()));
    if (expected) {
        ++totals_.total;
        answered_.store(totals_.total, std::memory_order_relaxed);
    }
    if (measured) {
        ++totals_.statuses[status];
        totals_.bytes += connection.reader.size();
    }
    if (measured && expected) {
        ++totals_.requests;
        totals_.latencies.record(now - connection.from);
    }
    if (ends || !connection.reader.keep_alive()) {
        close(connection);
        ++totals_.reconnects;
        open(connection);
    } else {
        idle_.push_back(&connection);
    }
    issue(now);
}

// --- connections ---

void Worker::open(Connection& connection) {
    const Target& target = plan_.targets[connection.target];
    connection.socket =
        ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.socket < 0) throw std::runtime_error(std::strerror(errno));
    const int on = 1;
    setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.state = State::connecting;
    connection.sent = now_ns();
    const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
    if (::connect(connection.socket, address, target.length) < 0 && errno != EINPROGRESS) {
        fault(std::strerror(errno));
        return close(connection);  // sweep() tries again
    }
    epoll_event event{};
    event.events = edges;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event) < 0)
        throw std::runtime_error(std::strerror(errno));
}

void Worker::on_connected(Connection& connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection.socket, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        fault(std::strerror(error));
        return close(connection);
    }
    connection.state = State::idle;
    idle_.push_back(&connection);
}

// A connection that rested may be closed by the server: no fault. One that owed an answer is one.
void Worker::reopen(Connection& connection, const char* why) {
    if (connection.state == State::waiting) {
        --waiting_;
        fault(fmt::format("{}: {}", rendered(connection).name(), why));
    }
    close(connection);
    ++totals_.reconnects;
    open(connection);
}

void Worker::close(Connection& connection) {
    if (connection.state == State::idle) std::erase(idle_, &connection);
    ::close(connection.socket);
    connection.socket = -1;
    connection.unsent.clear();
    connection.state = State::closed;
}

void Worker::fault(const std::string& what, std::uint64_t times) {
    totals_.faults += times;
    if (totals_.first_fault.empty()) totals_.first_fault = what;
}

}  // namespace souk::bench
