// The socket of both sides, server and client.
#pragma once

#include "souk/async.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

namespace souk::http {

using Protocol = asio::generic::stream_protocol;  // TCP and Unix sockets alike
using Socket = asio::basic_stream_socket<Protocol, Executor>;

}  // namespace souk::http
