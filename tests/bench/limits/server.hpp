// What the limits that serve HTTP have in common: an io_context a thread, each with an acceptor of
// its own on the same port (SO_REUSEPORT), concrete executors, and how they begin and end.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>

namespace souk::bench {

namespace asio = boost::asio;
using asio::ip::tcp;

using Executor = asio::io_context::executor_type;
template <typename Value>
using Task = asio::awaitable<Value, Executor>;
inline constexpr asio::use_awaitable_t<Executor> awaiting;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;

/// On 127.0.0.1; port 0: one that is free.
Acceptor listen(asio::io_context& context, std::uint16_t port);

/// Prints {"port":N} and returns when stdin closes.
void announce_and_wait(std::uint16_t port);

}  // namespace souk::bench
