#include "events/rabbitmq/advice.hpp"

#include <fmt/format.h>

namespace souk::events::rabbitmq {
namespace {

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace

std::string advice(const Address& address, std::string_view complaint) {
    if (has(complaint, "password file"))
        return "check the file that rabbitmq.password_file names, and its permissions";
    if (has(complaint, "ACCESS_REFUSED"))
        return fmt::format(
            "mend the user or the password in rabbitmq.url, or make the user: rabbitmqctl add_user "
            "{}",
            address.user
        );
    if (has(complaint, "vhost") && has(complaint, "not found"))
        return fmt::format(
            "mend the virtual host in rabbitmq.url, or make it: rabbitmqctl add_vhost {0} && "
            "rabbitmqctl set_permissions -p {0} {1} '.*' '.*' '.*'",
            address.vhost,
            address.user
        );
    if (has(complaint, "NOT_ALLOWED"))
        return fmt::format(
            "let the user in: rabbitmqctl set_permissions -p {} {} '.*' '.*' '.*'",
            address.vhost,
            address.user
        );
    if (has(complaint, "hostname")) return "mend the host in rabbitmq.url";
    if (has(complaint, "SSL") || has(complaint, "certificate"))
        return "mend the broker's certificate, or name its CA in rabbitmq.ca_file";
    return "start RabbitMQ there, or mend rabbitmq.url";
}

}  // namespace souk::events::rabbitmq
