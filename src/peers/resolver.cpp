#include "peers/resolver.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>

namespace souk::peers {
namespace {

using asio::ip::tcp;

class SystemResolver final : public Resolver {
public:
    Task<Result<std::vector<asio::ip::address>>> resolve(std::string host) override {
        Executor executor = co_await asio::this_coro::executor;
        asio::ip::basic_resolver<tcp, Executor> resolver(executor);
        boost::system::error_code ec;
        auto token = asio::redirect_error(use_task, ec);
        auto results = co_await resolver.async_resolve(host, "", token);
        if (ec) co_return unavailable("resolve", host + ": " + ec.message());
        std::vector<asio::ip::address> out;
        for (const auto& entry : results)
            out.push_back(entry.endpoint().address());
        co_return out;
    }
};

}  // namespace

std::unique_ptr<Resolver> make_system_resolver() {
    return std::make_unique<SystemResolver>();
}

}  // namespace souk::peers
