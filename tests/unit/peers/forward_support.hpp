// What is sent on to a peer, bodies that stream, and a pool with the thread that asks it.
#pragma once

#include "support.hpp"
#include "upstream.hpp"

#include <optional>

namespace souk::peers::test {

using http::BodyStream;
using http::Method;
using http::Response;

inline constexpr std::size_t kib = 1024;

/// So many bytes, then the end, a fault, or silence.
struct Source final : BodyStream {
    enum class Then { end, fault, silence };
    Source(std::size_t size, Then then) : left(size), then(then) {}
    Task<Result<std::string>> read() override {
        if (left == 0 && then == Then::silence)
            while (!released)
                co_await base::system_clock().sleep(milliseconds(1));
        if (left == 0 && then == Then::fault) co_return Error(ErrorKind::too_large, "big", "");
        std::string part(std::min(left, 50 * kib), 's');
        left -= part.size();
        taken += part.size();
        co_return part;
    }
    std::optional<std::uint64_t> length() const override { return announced; }

    std::size_t left;
    const Then then;
    std::optional<std::uint64_t> announced;
    std::atomic<std::size_t> taken = 0;
    std::atomic<bool> released = false;
};

inline std::shared_ptr<Source> source(std::size_t size, Source::Then then = Source::Then::end) {
    return std::make_shared<Source>(size, then);
}

inline std::shared_ptr<Outgoing> request(Method method, std::string body = {}) {
    auto out = std::make_shared<Outgoing>(method, "/api/things?q=1", http::Headers());
    out->body = std::move(body);
    return out;
}

inline std::shared_ptr<Outgoing> repeatable(std::shared_ptr<Outgoing> out) {
    out->repeatable = true;
    return out;
}

inline std::shared_ptr<Outgoing> upload(std::shared_ptr<BodyStream> body) {
    auto out = request(Method::post);
    out->stream = std::move(body);
    return out;
}

inline Task<Result<Response>> forward_to(
    Pool& pool, std::shared_ptr<Outgoing> request, CallContext context
) {
    co_return co_await pool.forward(std::move(request), context);
}

/// The whole body, or its fault; lets it go.
inline Task<Result<std::string>> read_all(std::shared_ptr<BodyStream> stream) {
    std::string out;
    for (;;) {
        auto part = co_await stream->read();
        if (!part) co_return part.error();
        if (part->empty()) co_return out;
        out += *part;
    }
}

inline Task<Result<std::string>> read_one(std::shared_ptr<BodyStream> stream) {
    co_return co_await stream->read();
}

inline Task<void> let_go(std::shared_ptr<BodyStream> stream) {
    stream.reset();
    co_return;
}

/// A pool to "shop" and the thread that asks it.
class Sender {
public:
    explicit Sender(std::string addresses, LaneOptions lane = {})
        : metrics_(observe::make_metrics()), resolver_(make_system_resolver()) {
        RemoteOptions options;
        options.module = "shop";
        options.addresses = std::move(addresses);
        options.peer_key = key;
        options.lane = lane;
        options.lane.whole_bytes = 64 * kib;
        auto made = Pool::make(
            std::move(options), {loop_.executor()}, base::system_clock(), *metrics_, *resolver_
        );
        if (!made) throw std::runtime_error(made.error().detail);
        pool_ = std::move(*made);
    }
    ~Sender() {
        start(loop_.executor(), pool_->stop()).get();
        loop_.end();
    }
    std::future<Result<Response>> begin(
        std::shared_ptr<Outgoing> request, milliseconds within = milliseconds(5'000)
    ) {
        CallContext context(Deadline(base::system_clock(), within));
        return start(loop_.executor(), forward_to(*pool_, std::move(request), context));
    }
    Result<Response> send(
        std::shared_ptr<Outgoing> request, milliseconds within = milliseconds(5'000)
    ) {
        return begin(std::move(request), within).get();
    }
    Result<std::string> all(Response& response) {
        return start(loop_.executor(), read_all(std::move(response.stream))).get();
    }
    Result<std::string> one(const Response& response) {
        return start(loop_.executor(), read_one(response.stream)).get();
    }
    void drop(Response& response) {
        start(loop_.executor(), let_go(std::move(response.stream))).get();
    }
    std::string metrics() const { return metrics_->expose(); }

private:
    std::unique_ptr<Metrics> metrics_;
    std::unique_ptr<Resolver> resolver_;
    Loop loop_;
    std::unique_ptr<Pool> pool_;
};

inline std::string code_of(const Result<Response>& answer) {
    return answer ? std::to_string(answer->status) : answer.error().code;
}

inline std::string long_head(std::size_t size) {
    return "HTTP/1.1 200 OK\r\nSouk-Admitted: 1\r\nContent-Length: " + std::to_string(size) +
           "\r\n\r\n";
}

}  // namespace souk::peers::test
