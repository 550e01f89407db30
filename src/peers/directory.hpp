// A peer's endpoints, kept in step with DNS: resolved every few seconds and, when something fails,
// sooner. Names of which nothing can be learned keep the addresses they had.
#pragma once

#include "peers/endpoint.hpp"
#include "peers/resolver.hpp"
#include "souk/background.hpp"

#include <functional>
#include <memory>
#include <string>

namespace souk::base {
class Signal;
}

namespace souk::peers {

class Directory : public std::enable_shared_from_this<Directory> {
public:
    using Publish = std::function<void(const Endpoints&)>;
    /// `publish` is called on `executor` after the first look and after each change; with none
    /// when none is known.
    Directory(
        Executor executor,
        Clock& clock,
        Resolver& resolver,
        std::vector<Address> addresses,
        milliseconds every,
        Publish publish
    );

    void start();
    /// Something failed: look again, at most once a second. From any thread.
    void ask();
    /// Call on the executor. Publishes no more.
    Task<void> stop();

private:
    Task<void> run(std::shared_ptr<Directory> self);
    Task<void> look();
    Task<std::vector<asio::ip::address>> addresses_of(const Address& address);
    std::shared_ptr<Endpoint> endpoint_at(const Address& address, const asio::ip::address& ip);
    std::vector<asio::ip::address> known_at(const Address& address) const;

    Executor executor_;
    Clock& clock_;
    Resolver& resolver_;
    const std::vector<Address> addresses_;
    const milliseconds every_;
    Publish publish_;
    Wakeup wakeup_;
    Endpoints endpoints_;
    std::atomic<SteadyTime> looked_at_ = SteadyTime{};
    bool published_ = false;
    bool resolving_ = false;
    bool stopping_ = false;
    std::shared_ptr<base::Signal> ended_;  // null until it runs
};

}  // namespace souk::peers
