// Boost.Asio and Boost.Beast, compiled once (see src/cmake/toolchain.cmake).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
