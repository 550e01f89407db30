// One process of a peer, as all threads know it: how busy, how healthy. Atomics only.
#pragma once

#include "peers/address.hpp"
#include "souk/clock.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace souk::peers {

class Endpoint {
public:
    Endpoint(Address address, const asio::ip::address& ip)
        : address(std::move(address))
        , host(this->address.host_field())
        , at(ip, this->address.port) {}

    bool is_ejected(SteadyTime now) const { return now < ejected_until_.load(); }
    /// An answer came, whatever it said.
    void succeeded();
    /// True when so many failed in a row that it had better be ejected.
    bool failed();
    /// Out of the choice, each time for longer while it goes on failing.
    void eject(SteadyTime now);

    const Address address;
    const std::string host;  // the field of that name
    const asio::ip::tcp::endpoint at;
    std::atomic<int> in_flight = 0;

private:
    std::atomic<int> failures_ = 0;  // in a row
    std::atomic<int> ejections_ = 0;
    std::atomic<SteadyTime> ejected_until_ = SteadyTime{};
};

using Endpoints = std::vector<std::shared_ptr<Endpoint>>;

}  // namespace souk::peers
