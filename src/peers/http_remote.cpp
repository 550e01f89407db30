#include "peers/http_remote.hpp"

#include "peers/wire.hpp"

#include <fmt/format.h>

#include <optional>

namespace souk::peers {
namespace {

/// Keeps what the Api answered.
class ApiAnswer final : public Judge {
public:
    Verdict judge(const http::Response& answer, std::string& why) override {
        read_ = read_answer(answer, why);
        if (!read_) return Verdict::foreign;
        return read_->has_value() ? Verdict::ok : Verdict::error;
    }
    Result<json::value> take() { return std::move(*read_); }

private:
    std::optional<Result<json::value>> read_;
};

class PooledRemote final : public HttpRemote {
public:
    PooledRemote(std::string module, std::unique_ptr<Pool> pool)
        : module_(std::move(module)), pool_(std::move(pool)) {}

    Task<Result<json::value>> call(
        std::string_view method, json::value arguments, const CallContext& ctx
    ) override {
        auto request = std::make_shared<Outgoing>(
            fmt::format("/internal/{}/api/{}", module_, method), json::serialize(arguments)
        );
        ApiAnswer answer;
        auto done = co_await pool_->ask(std::move(request), ctx, answer);
        if (!done) co_return done.error();
        co_return answer.take();
    }

    Pool& pool() override { return *pool_; }
    Task<void> stop() override { return pool_->stop(); }

private:
    const std::string module_;
    std::unique_ptr<Pool> pool_;
};

}  // namespace

Result<std::unique_ptr<HttpRemote>> HttpRemote::make(
    RemoteOptions options,
    std::vector<Executor> threads,
    Clock& clock,
    Metrics& metrics,
    Resolver& resolver
) {
    std::string module = options.module;
    auto pool = Pool::make(std::move(options), std::move(threads), clock, metrics, resolver);
    if (!pool) return pool.error();
    std::unique_ptr<HttpRemote> made =
        std::make_unique<PooledRemote>(std::move(module), std::move(*pool));
    return made;
}

}  // namespace souk::peers
