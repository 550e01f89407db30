#include "events/rabbitmq/advice.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace souk::events::rabbitmq {
namespace {

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

constexpr std::pair<int, int> oldest_version{3, 10};

/// Nothing but a zero when it does not begin with two numbers and a point between.
std::pair<int, int> major_and_minor(std::string_view version) {
    std::pair<int, int> read{0, 0};
    const char* const end = version.data() + version.size();
    const auto major = std::from_chars(version.data(), end, read.first);
    if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return {0, 0};
    const auto minor = std::from_chars(major.ptr + 1, end, read.second);
    if (minor.ec != std::errc()) return {0, 0};
    return read;
}

}  // namespace

std::string version_fault(std::string_view version) {
    if (major_and_minor(version) >= oldest_version) return {};
    return fmt::format(
        "the broker says that it is RabbitMQ {}, and souk needs 3.10 or later, for quorum queues "
        "with a single active consumer",
        version.empty() ? std::string_view("without a version") : version
    );
}

std::string advice(const Address& address, std::string_view complaint) {
    if (has(complaint, "souk needs")) return "bring RabbitMQ up to date, or mend rabbitmq.url";
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
