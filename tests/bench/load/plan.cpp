#include "bench/load/plan.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <charconv>
#include <memory>
#include <random>

namespace souk::bench {

namespace {

Nanoseconds in_ns(double seconds) {
    return static_cast<Nanoseconds>(seconds * static_cast<double>(second));
}

std::set<int> expected_statuses(const Arguments& arguments) {
    if (!arguments.has("--expect")) return {200};
    std::set<int> expected;
    for (const std::string& text : arguments.list("--expect")) {
        int status = 0;
        std::from_chars(text.data(), text.data() + text.size(), status);
        if (text.size() != 3 || status < 100)
            throw UsageError(fmt::format("--expect: '{}' is no status", text));
        expected.insert(status);
    }
    return expected;
}

std::uint64_t random_number() {
    std::random_device device;
    // 19 digits, and room for all that a run can count.
    std::uniform_int_distribution<std::uint64_t> any(
        1'000'000'000'000'000'000, 8'999'999'999'999'999'999
    );
    return any(device);
}

void require_consistent(const Arguments& arguments, const Plan& plan) {
    if (arguments.has("--seconds") == arguments.has("--count"))
        throw UsageError("either --seconds or --count");
    if (plan.count == 0 && plan.duration == 0) throw UsageError("--seconds is more than 0");
    if (arguments.has("--rate") && plan.rate == 0) throw UsageError("--rate is more than 0");
    if (plan.timeout == 0) throw UsageError("--timeout is more than 0");
    if (plan.threads > plan.connections)
        throw UsageError("--threads: each needs a connection of its own");
    if (plan.targets.size() > plan.connections)
        throw UsageError("--url: each needs a connection of its own");
    if (arguments.has("--pipeline") && arguments.text("--pipeline") != "no")
        throw UsageError("--pipeline: a connection has one request at a time; only 'no'");
}

}  // namespace

Target resolve(const std::string& url) {
    constexpr std::string_view scheme = "http://";
    if (!url.starts_with(scheme)) throw UsageError(fmt::format("'{}' is no http:// URL", url));
    Target target;
    target.host = url.substr(scheme.size());
    if (target.host.ends_with('/')) target.host.pop_back();
    const std::size_t colon = target.host.rfind(':');
    const std::string name = target.host.substr(0, colon);
    const std::string port = colon == std::string::npos ? "80" : target.host.substr(colon + 1);
    if (name.empty() || target.host.find('/') != std::string::npos)
        throw UsageError(fmt::format("'{}': http://host:port, paths are in --requests", url));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int failed = getaddrinfo(name.c_str(), port.c_str(), &hints, &list);
    if (failed != 0) throw UsageError(fmt::format("'{}': {}", url, gai_strerror(failed)));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
    std::memcpy(&target.address, list->ai_addr, list->ai_addrlen);
    target.length = list->ai_addrlen;
    return target;
}

Plan read_plan(int argc, char** argv) {
    const Arguments arguments(
        argc,
        argv,
        {"--url",
         "--requests",
         "--connections",
         "--threads",
         "--rate",
         "--seconds",
         "--count",
         "--warm",
         "--expect",
         "--timeout",
         "--pipeline"}
    );
    Plan plan;
    for (const std::string& url : arguments.list("--url"))
        plan.targets.push_back(resolve(url));
    plan.connections = static_cast<unsigned>(arguments.count("--connections", 64));
    plan.threads = static_cast<unsigned>(arguments.count("--threads", 1));
    plan.rate = arguments.number("--rate", 0);
    plan.warm = in_ns(arguments.number("--warm", 0));
    plan.duration = in_ns(arguments.number("--seconds", 0));
    if (arguments.has("--count")) plan.count = arguments.count("--count", 0);
    plan.timeout = in_ns(arguments.number("--timeout", 10));
    plan.expected = expected_statuses(arguments);
    plan.first_number = random_number();
    require_consistent(arguments, plan);
    plan.requests = read_requests(arguments.text("--requests"));
    return plan;
}

}  // namespace souk::bench
