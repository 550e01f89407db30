// What a lane does with a connection that it has: connects, sends a request, takes the answer,
// whole or as it comes.
#include "http/tls.hpp"
#include "peers/lane_lease.hpp"
#include "peers/wire.hpp"

#include <algorithm>
#include <utility>

namespace souk::peers {
namespace {

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

}  // namespace souk::peers
