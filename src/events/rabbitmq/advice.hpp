// From what RabbitMQ or its client library says at connecting, to what an operator can do about it.
#pragma once

#include "events/rabbitmq/connection.hpp"

#include <string>
#include <string_view>

namespace souk::events::rabbitmq {

/// `complaint`: what was said when a Connection could not be made.
std::string advice(const Address& address, std::string_view complaint);

/// Why a broker of that version ("3.10.8") will not do; empty when it will. An older one would take
/// the declarations and ignore what it does not know in them.
std::string version_fault(std::string_view version);

}  // namespace souk::events::rabbitmq
