// Requests that share a connection (exchanges.hpp): each is served in a coroutine of its own, and
// the answers of one turn of the loop leave in one write, in whatever order they are there.
#include "http/connection.hpp"
#include "http/exchanges.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <utility>

namespace souk::http {
namespace {

/// Answers that wait for a peer that reads slowly; then no more requests are read.
constexpr std::size_t most_gathered = 256 * 1024;

}  // namespace

/// A GET that is complete, on a listener for peers.
bool Connection::shares(const Exchange& exchange) {
    return worker_->shared().options.internal && exchange.request.method == Method::get &&
           reader_->is_done() && exchange.request.headers.has(exchange_field);
}

/// Until it waits for something, it runs at once.
void Connection::begin_shared(Exchange& exchange) {
    was_shared_ = true;
    ++under_way_;
    auto own = std::make_unique<Exchange>(exchange.started);
    own->request = std::move(exchange.request);
    own->arrival = std::move(exchange.arrival);
    own->content_length = exchange.content_length;
    auto self = shared_from_this();
    asio::co_spawn(
        worker_->executor(), serve_shared(std::move(self), std::move(own)), asio::detached
    );
}

/// `self` keeps the connection while a handler runs.
Task<void> Connection::serve_shared(
    [[maybe_unused]] std::shared_ptr<Connection> self, std::unique_ptr<Exchange> exchange
) {
    try {
        auto answer = co_await worker_->dispatcher().admit(*exchange);
        if (!answer) {
            auto served = co_await worker_->dispatcher().answer(*exchange);
            answer.emplace(std::move(served));
        }
        conclude_shared(*exchange, *answer);
    } catch (const std::exception& e) {
        Logger("http").error("a connection failed", {{"error", e.what()}});
        abort();
    }
    --under_way_;
    if (room_) room_->set();
}

void Connection::conclude_shared(Exchange& exchange, Response& response) {
    worker_->dispatcher().conclude(exchange, response);
    if (aborted_) return;
    const auto number = exchange.request.headers.get(exchange_field);
    if (response.stream || response.body.size() > shared_body_bytes) {
        response = Response(421, {}, {});
        response.headers.set(alone_field, "1");
    }
    response.headers.set(exchange_field, number);
    WireOptions options;
    options.date = worker_->date();
    options.request_id = exchange.request_id;
    options.close = worker_->draining();  // the peer sends no more, and ends it when all is there
    write_response(gathered_, response, options);
    flush_later();
}

/// Until the peer's next request may be begun.
Task<void> Connection::await_room() {
    while (!aborted_ && (under_way_ >= most_exchanges || gathered_.size() > most_gathered)) {
        room_ = base::Signal::make(worker_->executor());
        co_await room_->wait();
        room_.reset();
    }
}

/// At the end of this turn of the loop: what is answered until then comes along.
void Connection::flush_later() {
    if (flushing_) return;
    flushing_ = true;
    asio::post(worker_->executor(), [self = shared_from_this()] { self->flush(); });
}

void Connection::flush() {
    if (aborted_) return;
    out_.clear();
    std::swap(out_, gathered_);
    sent_ = write_at_once();
    if (sent_ < out_.size() || (tls_ && tls_->has_unsent())) {
        asio::co_spawn(worker_->executor(), flush_rest(shared_from_this()), asio::detached);
        return;
    }
    keeps_on();
    flushing_ = false;
    if (room_) room_->set();
}

/// To a peer that is slow to read; write_timeout ends it.
Task<void> Connection::flush_rest(std::shared_ptr<Connection> self) {
    const bool sent = co_await send(sent_);
    if (!sent) {
        self->abort();
        co_return;
    }
    flushing_ = false;
    if (!gathered_.empty()) flush_later();
    if (room_) room_->set();
}

}  // namespace souk::http
