#include "events/rabbitmq/connection.hpp"

#include <amqp.h>

namespace souk::events::rabbitmq {

Result<Address> parse_address(const std::string& url) {
    std::string copy = url;  // parsed in place
    amqp_connection_info parts{};
    amqp_default_connection_info(&parts);
    if (amqp_parse_url(copy.data(), &parts) != AMQP_STATUS_OK)
        return invalid(
            "rabbitmq_url",
            "the RabbitMQ address is not of the form amqp[s]://user:password@host[:port]/vhost"
        );
    Address address;
    address.host = parts.host;
    address.port = parts.port;
    address.user = parts.user;
    address.password = parts.password;
    address.vhost = *parts.vhost == '\0' ? "/" : parts.vhost;
    address.tls = parts.ssl != 0;
    return address;
}

}  // namespace souk::events::rabbitmq
