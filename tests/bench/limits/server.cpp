#include "bench/limits/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace souk::bench {

Acceptor listen(asio::io_context& context, std::uint16_t port) {
    Acceptor acceptor(context);
    acceptor.open(tcp::v4());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
    acceptor.set_option(ReusePort(true));
    acceptor.bind(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    acceptor.listen();
    return acceptor;
}

void announce_and_wait(std::uint16_t port) {
    fmt::print("{{\"port\":{}}}\n", port);
    std::fflush(stdout);
    std::array<char, 256> ignored;
    while (read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) {
    }
}

}  // namespace souk::bench
