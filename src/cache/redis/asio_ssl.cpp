// Asio's TLS, compiled once, here where alone it is used (see src/boost/boost.cpp).
#include <boost/asio/ssl/impl/src.hpp>
