#include "peers/directory.hpp"

#include "base/signal.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace souk::peers {
namespace {

constexpr milliseconds shortest_interval{1'000};
constexpr std::size_t most_endpoints = 64;

bool is_same(const Address& a, const Address& b) {
    return a.host == b.host && a.port == b.port && a.tls == b.tls;
}

}  // namespace

Directory::Directory(
    Executor executor,
    Clock& clock,
    Resolver& resolver,
    std::vector<Address> addresses,
    milliseconds every,
    Publish publish
)
    : executor_(executor)
    , clock_(clock)
    , resolver_(resolver)
    , addresses_(std::move(addresses))
    , every_(every)
    , publish_(std::move(publish))
    , wakeup_(executor, clock) {}

void Directory::start() {
    ended_ = base::Signal::make(executor_);
    spawn(executor_, [self = shared_from_this()] { return self->run(self); });
}

void Directory::ask() {
    if (clock_.steady() - looked_at_.load() < shortest_interval) return;
    asio::post(executor_, [self = shared_from_this()] { self->wakeup_.notify(); });
}

/// Does not wait for a name that is being looked up: a silent DNS takes longer than a stop may.
Task<void> Directory::stop() {
    stopping_ = true;
    wakeup_.notify();
    if (ended_ && !resolving_) co_await ended_->wait();
}

Task<void> Directory::run([[maybe_unused]] std::shared_ptr<Directory> self) {
    while (!stopping_) {
        co_await look();
        if (stopping_) break;
        const milliseconds pause = endpoints_.empty() ? shortest_interval : every_;
        co_await wakeup_.wait(std::min(pause, every_));
    }
    ended_->set();
}

Task<void> Directory::look() {
    looked_at_ = clock_.steady();
    Endpoints found;
    for (const Address& address : addresses_) {
        const auto ips = co_await addresses_of(address);
        if (stopping_) co_return;  // whom it is published to may be gone
        for (const auto& ip : ips)
            if (found.size() < most_endpoints) found.push_back(endpoint_at(address, ip));
    }
    if (published_ && found == endpoints_) co_return;
    published_ = true;
    endpoints_ = std::move(found);
    publish_(endpoints_);
}

/// In order and without duplicates.
Task<std::vector<asio::ip::address>> Directory::addresses_of(const Address& address) {
    boost::system::error_code no_literal;
    const auto literal = asio::ip::make_address(address.host, no_literal);
    std::vector<asio::ip::address> ips;
    if (!no_literal) {
        ips.push_back(literal);
        co_return ips;
    }
    resolving_ = true;
    auto resolved = co_await resolver_.resolve(address.host);
    resolving_ = false;
    if (!resolved || resolved->empty()) co_return known_at(address);
    ips = std::move(*resolved);
    std::sort(ips.begin(), ips.end());
    ips.erase(std::unique(ips.begin(), ips.end()), ips.end());
    co_return ips;
}

std::shared_ptr<Endpoint> Directory::endpoint_at(
    const Address& address, const asio::ip::address& ip
) {
    for (const auto& endpoint : endpoints_)
        if (endpoint->at.address() == ip && is_same(endpoint->address, address)) return endpoint;
    return std::make_shared<Endpoint>(address, ip);
}

std::vector<asio::ip::address> Directory::known_at(const Address& address) const {
    std::vector<asio::ip::address> ips;
    for (const auto& endpoint : endpoints_)
        if (is_same(endpoint->address, address)) ips.push_back(endpoint->at.address());
    return ips;
}

}  // namespace souk::peers
