#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/process.hpp"
#include "http/client.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace souk::cli {
namespace {

constexpr seconds patience{3};

/// The metrics port of the server in the data folder; what is configured when it does not tell.
std::int64_t metrics_port(const host::Config& config) {
    std::ifstream in(std::filesystem::path(config.text("data.dir")) / "souk.json");
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto parsed = json::parse(text);
    if (parsed && parsed->is_object()) {
        const json::value* port = parsed->as_object().if_contains("metrics_port");
        if (port != nullptr && port->is_int64()) return port->as_int64();
    }
    return config.integer("metrics.port");
}

/// Where this machine reaches the metrics listener.
std::string metrics_host(const host::Config& config) {
    const std::string& address = config.text("metrics.address");
    if (address == "0.0.0.0" || address == "::") return "127.0.0.1";
    return address.find(':') == std::string::npos ? address : fmt::format("[{}]", address);
}

Task<int> check(Executor executor, std::string url) {
    const std::size_t scheme = url.find("://");
    const std::size_t slash = scheme == std::string::npos ? scheme : url.find('/', scheme + 3);
    const std::string path = slash == std::string::npos ? "/health/ready" : url.substr(slash);
    auto target = http::ClientTarget::parse(url.substr(0, slash));
    if (!target) co_return report(Error(ErrorKind::invalid, "usage", target.error().detail));
    http::Client client(executor, std::move(*target));
    Clock& clock = base::system_clock();
    http::Headers headers;
    auto response = co_await client.send(
        http::Method::get, path, std::move(headers), std::string(), clock, Deadline(clock, patience)
    );
    if (!response) co_return report(response.error());
    fmt::print("{} {}\n", response->status, response->body);
    co_return response->status == 200 ? exit_ok : exit_failed;
}

}  // namespace

int healthcheck(const HealthcheckOptions& options) {
    std::string url = options.url;
    if (url.empty()) {
        auto config = load_config(options.common);
        if (!config) return report(config.error());
        url =
            fmt::format("http://{}:{}/health/ready", metrics_host(*config), metrics_port(*config));
    }
    int code = exit_failed;
    host::run_task([&](Executor executor) -> Task<void> { code = co_await check(executor, url); });
    return code;
}

}  // namespace souk::cli
