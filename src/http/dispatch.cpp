#include "http/dispatch.hpp"

#include "http/chars.hpp"

#include <exception>
#include <utility>

namespace souk::http {
namespace {

constexpr std::string_view no_route = "unmatched";
constexpr seconds fault_log_pause{1};

/// What may still be taken on when so many are in flight: checkouts outlive browsing, and what has
/// no rate class (probes, webhooks) is never refused here.
std::size_t capacity(RateClass rate_class, std::size_t limit) {
    switch (rate_class) {
        case RateClass::none:
            return SIZE_MAX;
        case RateClass::checkout:
            return limit;
        default:
            return limit - limit / 10;
    }
}

std::optional<Error> check_key(const Exchange& exchange) {
    if (!exchange.route->requires_key) return std::nullopt;
    const auto& headers = exchange.request.headers;
    if (!headers.has("Idempotency-Key"))
        return invalid("idempotency_key_missing", "this request needs an Idempotency-Key");
    const auto key = headers.get("Idempotency-Key");
    const bool visible =
        std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (key.empty() || key.size() > 255 || !visible)
        return invalid("idempotency_key_invalid", "a key is 1 to 255 visible ASCII characters");
    return std::nullopt;
}

std::optional<Error> check_body(const Exchange& exchange) {
    if (!exchange.has_body) return std::nullopt;
    const Route& route = *exchange.route;
    if (exchange.content_length.value_or(0) > body_limit(route))
        return Error(ErrorKind::too_large, "body_too_large", "the body is too large");
    if (route.decoder_ && !is_json(exchange.request.headers.get("Content-Type")))
        return Error(
            ErrorKind::unsupported_media,
            "unsupported_media_type",
            "send the body as application/json"
        );
    return std::nullopt;
}

void apply_conditional(const Request& request, Response& response) {
    if (response.status != 200) return;
    if (request.method != Method::get && request.method != Method::head) return;
    const auto etag = response.headers.get("ETag");
    if (etag.empty() || !matches_etag(request.headers.get("If-None-Match"), etag)) return;
    response.status = 304;
    response.body.clear();
    response.stream.reset();
    response.content_type.clear();
}

}  // namespace

std::size_t body_limit(const Route& route) {
    const bool reads = route.method == Method::get || route.method == Method::head;
    return reads ? 0 : route.max_body_bytes;
}

Dispatcher::Dispatcher(
    const Router& router,
    Edge* edge,
    Clock& clock,
    Metrics& metrics,
    std::string server,
    bool access_log,
    std::size_t in_flight
)
    : router_(router)
    , edge_(edge)
    , clock_(clock)
    , metrics_(metrics)
    , server_(std::move(server))
    , access_log_(access_log)
    , limit_(in_flight) {}

Task<std::optional<Response>> Dispatcher::admit(Exchange& exchange) {
    if (auto response = find_route(exchange)) co_return response;
    if (auto error = check_capacity(exchange)) co_return refuse(exchange, *error);
    if (edge_ != nullptr) {
        std::optional<Result<Identity>> identity;
        try {
            auto admitted = co_await edge_->admit_arrival(
                *exchange.route, exchange.request, exchange.arrival, exchange.response_headers
            );
            identity.emplace(std::move(admitted));
        } catch (const std::exception& e) {
            logger_.error(
                "admission failed", {{"request_id", exchange.request_id}, {"error", e.what()}}
            );
            identity.emplace(Error());
        }
        if (!*identity) co_return refuse(exchange, identity->error());
        exchange.identity = std::move(**identity);
    }
    if (auto error = check_key(exchange)) co_return refuse(exchange, *error);
    if (auto error = check_body(exchange)) co_return refuse(exchange, *error);
    co_return std::nullopt;
}

std::optional<Response> Dispatcher::find_route(Exchange& exchange) {
    auto& request = exchange.request;
    exchange.request_id = choose_request_id(request.headers.get("Request-Id"), clock_.now());
    exchange.traceparent = choose_traceparent(request.headers.get("traceparent"));
    auto match = router_.match(request);
    exchange.route = match.route;
    exchange.module = match.module;
    if (match.route != nullptr) return std::nullopt;
    if (request.method == Method::options && (!match.allow.empty() || request.path == "*")) {
        auto response = Response::no_content();  // the edge adds CORS
        if (!match.allow.empty()) response.headers.set("Allow", match.allow + ", OPTIONS");
        return response;
    }
    if (match.allow.empty()) return refuse(exchange, not_found("there is nothing at this path"));
    auto response = refuse(
        exchange,
        Error(
            ErrorKind::method_not_allowed, "method_not_allowed", "this path is for " + match.allow
        )
    );
    response.headers.set("Allow", match.allow);
    return response;
}

std::optional<Error> Dispatcher::check_capacity(Exchange& exchange) {
    if (in_flight_ >= capacity(exchange.route->rate_class, limit_))
        return unavailable("overloaded", "too many requests are being handled");
    return std::nullopt;
}

Task<Response> Dispatcher::answer(Exchange& exchange) {
    // Only now: a client that drips its body must not keep others' work out.
    exchange.slot.take(in_flight_);
    CallContext context(
        std::move(exchange.identity),
        deadline_of(exchange),
        exchange.request_id,
        std::move(exchange.traceparent)
    );
    context.identity_token = std::move(exchange.arrival.identity_token);
    if (context.deadline.passed(clock_)) {
        const Error late(ErrorKind::timeout, "timeout", "the caller's time is over");
        co_return refuse(exchange, late);
    }
    std::string fault;
    try {
        auto result = co_await exchange.route->handler(context, exchange.request);
        if (result) co_return std::move(*result);
        co_return refuse(exchange, result.error());
    } catch (const Failure& e) {
        fault = e.error.code + ": " + e.error.detail;
    } catch (const std::exception& e) {
        fault = e.what();
    } catch (...) {
        fault = "unknown exception";
    }
    logger_.error(
        "a handler failed",
        {{"route", exchange.route->pattern}, {"request_id", exchange.request_id}, {"error", fault}}
    );
    co_return refuse(exchange, Error());
}

/// The route's, or the caller's when that is over sooner.
Deadline Dispatcher::deadline_of(const Exchange& exchange) const {
    const SteadyTime own = clock_.steady() + exchange.route->deadline;
    const microseconds left = exchange.arrival.time_left;
    if (left == microseconds::max()) return Deadline(own);
    return Deadline(std::min(own, exchange.started + left));
}

Error Dispatcher::told(const Exchange& exchange, Error error) {
    if (http_status(error.kind) < 500 || edge_ == nullptr || edge_->tells_faults()) return error;
    const SteadyTime now = clock_.steady();
    if (fault_logged_at_ == SteadyTime::min() ||
        now - fault_logged_at_ >= fault_log_pause) {  // an outage makes thousands of them
        fault_logged_at_ = now;
        logger_.warn(
            "refused for a fault of ours",
            {{"request_id", exchange.request_id}, {"code", error.code}, {"error", error.detail}}
        );
    }
    if (error.kind == ErrorKind::unavailable)
        error.detail = "The shop cannot do this at the moment. Try again later.";
    else if (error.kind == ErrorKind::timeout)
        error.detail = "This took too long. Ask again to learn what became of it.";
    else
        error.detail = "Something went wrong here, not with the request.";
    return error;
}

Response Dispatcher::refuse(Exchange& exchange, const Error& error) {
    if (exchange.request_id.empty()) exchange.request_id = choose_request_id({}, clock_.now());
    auto response = Response::problem(told(exchange, error), exchange.request_id);
    if (response.status == 401 && !response.headers.has("WWW-Authenticate"))
        response.headers.set("WWW-Authenticate", "Bearer");
    return response;
}

void Dispatcher::conclude(Exchange& exchange, Response& response) {
    for (const auto& [name, value] : exchange.response_headers)
        response.headers.set(name, value);
    if (edge_ != nullptr) edge_->finish(exchange.request, response.headers);
    apply_conditional(exchange.request, response);
    const microseconds taken = clock_.steady() - exchange.started;
    const double seconds = static_cast<double>(taken.count()) / 1e6;
    count(exchange, response.status, seconds);
    if (access_log_) log(exchange, response.status, seconds);
}

std::string_view Dispatcher::service(const Exchange& exchange) const {
    return exchange.module.empty() ? std::string_view(server_) : exchange.module;
}

Dispatcher::RouteMetrics& Dispatcher::metrics_of(const Exchange& exchange) {
    // Routes are aligned to far more than the seven methods need.
    static_assert(alignof(Route) >= 8);
    const auto key = reinterpret_cast<std::uintptr_t>(exchange.route) |
                     static_cast<std::uintptr_t>(exchange.request.method);
    auto& entry = route_metrics_[key];
    if (entry.duration != nullptr) return entry;
    entry.duration = &metrics_.histogram(
        "http_request_duration_seconds",
        "From a request's complete head to its answer",
        {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10},
        {{"service", service(exchange)},
         {"method", to_string(exchange.request.method)},
         {"route", exchange.route ? std::string_view(exchange.route->pattern) : no_route}}
    );
    return entry;
}

void Dispatcher::count(const Exchange& exchange, int status, double seconds) {
    auto& entry = metrics_of(exchange);
    entry.duration->observe(seconds);
    for (auto& [known, counter] : entry.by_status) {
        if (known != status) continue;
        counter->add();
        return;
    }
    const auto text = std::to_string(status);
    auto& counter = metrics_.counter(
        "http_requests_total",
        "Requests answered",
        {{"service", service(exchange)},
         {"method", to_string(exchange.request.method)},
         {"route", exchange.route ? std::string_view(exchange.route->pattern) : no_route},
         {"status", text}}
    );
    entry.by_status.emplace_back(status, &counter);
    counter.add();
}

void Dispatcher::log(const Exchange& exchange, int status, double seconds) const {
    logger_.info(
        "request",
        {{"service", service(exchange)},
         {"method", to_string(exchange.request.method)},
         {"route", exchange.route ? std::string_view(exchange.route->pattern) : no_route},
         {"status", status},
         {"duration_ms", static_cast<std::int64_t>(seconds * 1e3)},
         {"request_id", exchange.request_id},
         {"remote", exchange.request.remote_address}}
    );
}

}  // namespace souk::http
