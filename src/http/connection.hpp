// One connection, as connection.cpp (requests and answers) and connection_streams.cpp (bodies in
// parts) and connection_exchanges.cpp (requests that share it) see it; all others see serve() in
// worker.hpp.
#pragma once

#include "base/signal.hpp"
#include "http/request_reader.hpp"
#include "http/tls.hpp"
#include "http/worker.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souk::http {

/// Bodies up to this are read whole; of larger ones, what is read at a time.
inline constexpr std::size_t part_bytes = 64 * 1024;

/// How long something may take that waits now.
struct Limit {
    void set(SteadyTime until) {
        at = until;
        over = false;
    }
    void clear() { at = SteadyTime::max(); }
    /// True when it has just been passed.
    bool passed(SteadyTime now) {
        if (now < at) return false;
        clear();
        return over = true;
    }
    SteadyTime at = SteadyTime::max();
    bool over = false;
};

class Connection;

/// Request::stream: what is left of a body, read off its connection while that serves the request.
class RequestBody final : public BodyStream {
public:
    RequestBody(Connection& connection, std::optional<std::uint64_t> length)
        : connection_(&connection), length_(length) {}
    Task<Result<std::string>> read() override;
    std::optional<std::uint64_t> length() const override { return length_; }

private:
    friend class Connection;
    Connection* connection_;  // null when the request is over
    const std::optional<std::uint64_t> length_;
    std::string part_;  // taken, not read yet
    std::optional<Error> fault_;
    std::shared_ptr<base::Signal> read_ended_;  // null unless a read is under way
    // What is left of the time for the next 64 KiB: the client's only, while somebody asks.
    microseconds time_left_{0};
    std::size_t until_more_time_ = 0;
};

class Connection final : public Watched, public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<Worker> worker, Socket socket, std::string peer, std::string key);
    ~Connection() override;

    Task<void> run(std::shared_ptr<Connection> self);
    void expire(SteadyTime now) override;
    void drain(SteadyTime until) override;
    void abort() override;
    /// For streamed_ only.
    Task<Result<std::string>> read_part();

private:
    enum class Input { ready, faulty, closed };

    Task<bool> shake_hands();
    Task<void> serve_all();
    Task<void> refuse_head(Exchange& exchange);
    Task<Input> read_head();
    Task<Input> read_body(Exchange& exchange);
    Task<bool> skip_body(const Exchange& exchange);
    Task<Input> parse_rest(std::size_t enough = SIZE_MAX);
    Task<Input> parse_more(std::size_t enough);
    void begin_stream(Exchange& exchange);
    Task<void> end_stream();
    Task<std::size_t> read_more();
    Task<bool> write(Exchange& exchange, Response response);
    bool begin_write(Exchange& exchange, Response& response);
    Task<bool> end_write(Response response);
    bool keeps_on();
    std::size_t send_at_once();
    std::size_t write_at_once();
    Task<bool> send(std::size_t sent = 0);
    Task<bool> send_stream(std::shared_ptr<BodyStream> body, bool may_chunk);
    bool cut_off(bool framed);
    Task<void> linger();

    bool shares(const Exchange& exchange);
    bool is_shared() const { return under_way_ > 0 || flushing_; }
    void begin_shared(Exchange& exchange);
    Task<void> serve_shared(std::shared_ptr<Connection> self, std::unique_ptr<Exchange> exchange);
    void conclude_shared(Exchange& exchange, Response& response);
    Task<void> await_room();
    void flush_later();
    void flush();
    Task<void> flush_rest(std::shared_ptr<Connection> self);

    bool open(Exchange& exchange);
    void shrink();
    bool has_input();
    milliseconds idle_time();
    void body_fault(const boost::system::error_code& ec);
    std::string_view unread() const { return {in_.data() + begin_, end_ - begin_}; }
    SteadyTime in(microseconds time) const { return worker_->clock().steady() + time; }
    const ServerLimits& limits() const { return worker_->limits(); }

    std::shared_ptr<Worker> worker_;
    Socket socket_;
    std::unique_ptr<TlsSession> tls_;  // null: plain
    const std::string peer_;
    const std::string key_;
    const GateLimits gate_limits_;

    std::vector<char> in_;  // unread bytes are [begin_, end_)
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t head_size_ = 0;
    std::string out_;
    std::size_t sent_ = 0;  // of it
    std::optional<RequestReader> reader_;
    std::shared_ptr<RequestBody> streamed_;  // null but for a large body of a route that streams
    Error fault_;

    // Of requests that share the connection (exchanges.hpp).
    std::size_t under_way_ = 0;
    std::string gathered_;                // answers, to leave at the end of this turn of the loop
    std::shared_ptr<base::Signal> room_;  // null unless the reader waits until one is answered
    bool flushing_ = false;
    bool was_shared_ = false;

    Limit reading_;
    Limit writing_;
    bool idle_ = false;  // between requests
    bool close_ = false;
    bool aborted_ = false;
    bool given_up_ = false;  // nobody wants the rest of the body
};

}  // namespace souk::http
