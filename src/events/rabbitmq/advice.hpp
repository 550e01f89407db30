// From what RabbitMQ or its client library says at connecting, to what an operator can do about it.
#pragma once

#include "events/rabbitmq/connection.hpp"

#include <string>
#include <string_view>

namespace souk::events::rabbitmq {

/// `complaint`: what was said when a Connection could not be made.
std::string advice(const Address& address, std::string_view complaint);

}  // namespace souk::events::rabbitmq
