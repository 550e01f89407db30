#include "http/shared_connection.hpp"

#include "http/client_connection.hpp"
#include "http/exchanges.hpp"
#include "http/response_reader.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace souk::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t usual_input = 16 * 1024;
constexpr std::size_t kept_output = 64 * 1024;
constexpr std::size_t longest_answer = ResponseReader::max_head_bytes + shared_body_bytes;
// Fewer than the peer takes: what was given up may be at work there still.
constexpr std::size_t most_asked = most_exchanges / 2;

Error ended(std::string detail) {
    return unavailable("ended", std::move(detail));
}

}  // namespace

// --- one request

struct SharedConnection::Asked::Wake {
    virtual ~Wake() = default;
    virtual void go(const Executor& executor) = 0;
};

struct SharedConnection::Asked::Sleep {
    explicit Sleep(Asked* asked) : asked(asked) {}
    template <class Handler>
    void operator()(Handler handler) const {
        struct Sleeper final : Wake {
            explicit Sleeper(Handler handler) : handler(std::move(handler)) {}
            void go(const Executor& executor) override {
                asio::get_associated_cancellation_slot(handler).clear();
                asio::post(executor, std::move(handler));
            }
            Handler handler;
        };
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected())
            slot.assign([asked = asked](asio::cancellation_type) { asked->give_up(); });
        asked->wake_ = std::make_unique<Sleeper>(std::move(handler));
    }
    Asked* asked;
};

SharedConnection::Asked::Asked(
    std::shared_ptr<SharedConnection> on,
    std::string_view target,
    std::string_view host,
    const Headers& headers,
    std::string_view more
)
    : on_(std::move(on)), number_(++on_->last_number_), heard_before_(on_->heard_) {
    std::string lines(more);
    lines.append(exchange_field).append(": ").append(std::to_string(number_)).append("\r\n");
    write_request(on_->out_, Method::get, target, host, headers, {}, lines);
    on_->asked_.push_back(this);
    on_->flush_later();
}

SharedConnection::Asked::~Asked() {
    std::erase(on_->asked_, this);
    if (on_->retired_ && on_->asked_.empty()) on_->close();
}

Task<void> SharedConnection::Asked::wait() {
    if (over_) co_return;
    const Sleep sleep(this);
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(sleep, use_task);
}

void SharedConnection::Asked::give_up() {
    if (!over_) finish();
}

void SharedConnection::Asked::finish() {
    over_ = true;
    if (!wake_) return;
    const auto wake = std::move(wake_);
    wake->go(on_->executor_);
}

// --- the connection

SharedConnection::SharedConnection(Executor executor) : executor_(executor), socket_(executor) {}
SharedConnection::~SharedConnection() = default;

Task<Result<void>> SharedConnection::connect(
    Protocol::endpoint to, std::shared_ptr<Tls> tls, std::string server_name
) {
    auto self = shared_from_this();
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    co_await socket_.async_connect(to, token);
    if (!ec && !socket_.is_open()) ec = asio::error::operation_aborted;
    if (ec) {
        close();
        co_return unavailable("connect", ec.message());
    }
    socket_.set_option(asio::ip::tcp::no_delay(true), ec);
    if (tls) {
        tls_ = tls->open(socket_, server_name);
        certificates_ = std::move(tls);
        auto done = co_await tls_->handshake();
        if (!done) {
            close();
            co_return unavailable("connect", done.error().detail);
        }
    }
    spawn(executor_, [self] { return self->read_all(self); });
    co_return Result<void>();
}

bool SharedConnection::serves() const {
    return socket_.is_open() && !retired_ && (!tls_ || certificates_->is_current(*tls_));
}

bool SharedConnection::takes_more() const {
    return serves() && !is_full();
}

bool SharedConnection::is_full() const {
    // What was given up before it left takes room, too.
    return serves() && (asked_.size() >= most_asked || out_.size() >= kept_output);
}

void SharedConnection::retire() {
    retired_ = true;
    if (asked_.empty()) close();
}

void SharedConnection::close() {
    error_code ignored;
    if (tls_) tls_->close_notify();
    socket_.close(ignored);
    fail_all(ended("the connection was given up"));
}

void SharedConnection::fail_all(const Error& error) {
    for (Asked* asked : asked_) {
        if (asked->over_) continue;
        asked->answer.emplace(error);
        asked->finish();
    }
}

/// At the end of this turn of the loop: whoever asks until then comes along.
void SharedConnection::flush_later() {
    if (flushing_) return;
    flushing_ = true;
    asio::post(executor_, [self = shared_from_this()] { self->flush(); });
}

void SharedConnection::flush() {
    leaving_.clear();
    std::swap(leaving_, out_);
    const std::size_t sent = write_at_once();
    if (sent < leaving_.size() || (tls_ && tls_->has_unsent())) {
        auto self = shared_from_this();
        spawn(executor_, [self, sent] { return self->flush_rest(self, sent); });
        return;
    }
    if (leaving_.capacity() > kept_output) std::string().swap(leaving_);
    flushing_ = false;
}

std::size_t SharedConnection::write_at_once() {
    if (!socket_.is_open()) return leaving_.size();  // nobody waits for it any more
    if (tls_) return tls_->write_at_once(asio::buffer(leaving_));
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const auto sent = ::send(socket_.native_handle(), leaving_.data(), leaving_.size(), flags);
    return static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
}

/// When the peer is slow to read. Who waits has a deadline, and close() ends this.
Task<void> SharedConnection::flush_rest(
    [[maybe_unused]] std::shared_ptr<SharedConnection> self, std::size_t sent
) {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (!ec && socket_.is_open() && (sent < leaving_.size() || (tls_ && tls_->has_unsent()))) {
        auto rest = asio::buffer(leaving_.data() + sent, leaving_.size() - sent);
        if (tls_) {
            const Transfer put = co_await tls_->write_some(rest);
            sent += put.size;
            ec = put.error;
        } else {
            sent += co_await socket_.async_write_some(rest, token);
        }
    }
    if (ec) close();
    flushing_ = false;
    if (!out_.empty()) flush_later();
}

Task<void> SharedConnection::read_all([[maybe_unused]] std::shared_ptr<SharedConnection> self) {
    in_.resize(usual_input);
    std::optional<ResponseReader> reader;
    std::string why;
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (why.empty() && socket_.is_open()) {
        std::copy(in_.begin() + begin_, in_.begin() + end_, in_.begin());
        end_ -= std::exchange(begin_, 0);
        if (end_ == in_.size()) in_.resize(std::min(2 * in_.size(), longest_answer));
        auto space = asio::buffer(in_.data() + end_, in_.size() - end_);
        if (tls_) {
            const Transfer got = co_await tls_->read_some(space);
            end_ += got.size;
            ec = got.error;
        } else {
            end_ += co_await socket_.async_read_some(space, token);
        }
        if (ec || !socket_.is_open()) {
            fail_all(ended("the connection ended: " + ec.message()));
            break;
        }
        ++heard_;
        bool whole = true;
        while (why.empty() && whole && begin_ < end_) {
            if (!reader) reader.emplace(false, shared_body_bytes);
            why = parse(*reader, whole);
            if (whole && why.empty()) why = deliver(*reader);
            if (whole) reader.reset();
        }
        if (why.empty() && !whole && end_ - begin_ >= longest_answer) why = "too long";
    }
    if (!why.empty()) fail_all(unavailable("broken", "the answer is malformed: " + why));
    close();
}

/// Gives the parser what is there; `whole` when it has all of an answer. Returns what is wrong.
std::string SharedConnection::parse(ResponseReader& reader, bool& whole) {
    error_code ec;
    while (!ec && !reader.is_done() && begin_ < end_)
        begin_ += reader.put(asio::const_buffer(in_.data() + begin_, end_ - begin_), ec);
    whole = reader.is_done();
    if (ec && ec != beast_http::error::need_more) return ec.message();
    if (reader.is_header_done() && reader.need_eof()) return "an answer without a length";
    return {};
}

/// Gives an answer to who asked. One that was given up goes nowhere.
std::string SharedConnection::deliver(ResponseReader& reader) {
    Response& response = reader.response();
    const auto text = response.headers.get(exchange_field);
    if (text.empty()) {
        fail_all(unavailable("unshared", "the answer has no number"));
        return "it is nobody's";
    }
    std::uint64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc() || end != text.data() + text.size() || number > last_number_)
        return "it is nobody's";
    if (!reader.keep_alive()) retired_ = true;
    for (Asked* asked : asked_) {
        if (asked->number_ != number || asked->over_) continue;
        asked->answer.emplace(std::move(response));
        asked->finish();
        return {};
    }
    if (retired_ && asked_.empty()) close();
    return {};
}

}  // namespace souk::http
