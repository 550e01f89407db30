// Bodies that stream: of a request, pulled off its connection by the handler; of a response, pulled
// from the handler's stream as fast as the client takes it.
#include "http/body_parts.hpp"
#include "http/connection.hpp"

#include <algorithm>
#include <stdexcept>

namespace souk::http {

using boost::system::error_code;

/// `connection` is kept while somebody reads from it.
Task<Result<std::string>> RequestBody::read() {
    if (connection_ == nullptr)
        co_return invalid("body_incomplete", "the request is over, or its body was cut off");
    auto connection = connection_->shared_from_this();
    co_return co_await connection->read_part();
}

/// The rest of the body, and what was read of it, is the handler's to pull.
void Connection::begin_stream(Exchange& exchange) {
    std::optional<std::uint64_t> length = exchange.content_length;
    streamed_ = std::make_shared<RequestBody>(*this, length);
    streamed_->part_ = std::exchange(exchange.request.body, {});
    reader_->take_into(streamed_->part_);
    exchange.request.stream = streamed_;
    in_.resize(std::max(in_.size(), part_bytes));
}

Task<Result<std::string>> Connection::read_part() {
    auto body = streamed_;
    if (body->read_ended_) throw std::logic_error("two read one body at a time");
    if (body->fault_) co_return *body->fault_;
    if (body->until_more_time_ == 0) {
        body->until_more_time_ = part_bytes;
        body->time_left_ = limits().body_timeout;
    }
    const SteadyTime began = in(microseconds(0));
    reading_.set(began + body->time_left_);
    body->read_ended_ = base::Signal::make(worker_->executor());
    const Input got = co_await parse_more(1);
    reading_.clear();
    body->time_left_ -= in(microseconds(0)) - began;
    std::exchange(body->read_ended_, nullptr)->set();
    if (got == Input::closed) fault_ = invalid("body_incomplete", "the client went away");
    if (got != Input::ready) {
        body->fault_ = fault_;
        co_return fault_;
    }
    std::string part = std::exchange(body->part_, {});
    if (part.size() > part_bytes) {  // what was read before it was known to be long
        body->part_ = part.substr(part_bytes);
        part.resize(part_bytes);
    }
    body->until_more_time_ -= std::min(body->until_more_time_, part.size());
    co_return part;
}

/// The answer is written: what still reads the body for somebody ends, too.
Task<void> Connection::end_stream() {
    given_up_ = true;
    if (auto under_way = streamed_->read_ended_) {
        error_code ignored;
        socket_.cancel(ignored);
        co_await under_way->wait();
    }
    given_up_ = false;
    streamed_->connection_ = nullptr;
    streamed_.reset();
    if (end_ - begin_ > gate_limits_.header_bytes) co_return;  // more requests are there already
    std::vector<char> rest(gate_limits_.header_bytes);
    std::copy(in_.begin() + begin_, in_.begin() + end_, rest.begin());
    end_ -= std::exchange(begin_, 0);
    in_ = std::move(rest);
}

/// A part in memory, and no next one before it is written: that is the back-pressure.
Task<bool> Connection::send_stream(std::shared_ptr<BodyStream> body, bool may_chunk) {
    BodyParts parts(std::move(body), may_chunk);
    for (;;) {
        auto more = co_await parts.next(out_);
        if (aborted_) co_return false;
        if (!more) co_return cut_off(parts.is_framed());
        const bool sent = co_await send();
        if (!sent || !*more) co_return sent;
    }
}

/// Ends the connection so that nobody takes what was sent for the whole body: without the rest of
/// its length or its last chunk, and where the end of the connection would mean the end of the
/// body, by a reset.
bool Connection::cut_off(bool framed) {
    error_code ignored;
    if (!framed) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
    return false;
}

}  // namespace souk::http
