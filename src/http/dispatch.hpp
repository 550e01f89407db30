// From a request whose head is known to its answer: route, limits, admission, handler, problem
// documents, conditional answers, metrics and the access log. Knows no socket; one a thread, so
// nothing here is shared or locked.
#pragma once

#include "http/edge.hpp"
#include "http/router.hpp"
#include "souk/clock.hpp"
#include "souk/http.hpp"
#include "souk/log.hpp"
#include "souk/metrics.hpp"

#include <boost/container/small_vector.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace souk::http {

/// A place among the requests being handled, given back when it goes.
class InFlightSlot {
public:
    InFlightSlot() = default;
    ~InFlightSlot() {
        if (count_ != nullptr) --*count_;
    }
    InFlightSlot(const InFlightSlot&) = delete;
    InFlightSlot& operator=(const InFlightSlot&) = delete;
    void take(std::size_t& count) { ++*(count_ = &count); }

private:
    std::size_t* count_ = nullptr;
};

/// How many bytes of body a request to `route` may have; none where nobody would read them.
std::size_t body_limit(const Route& route);

/// One request, and what becomes known of it on its way.
struct Exchange {
    explicit Exchange(SteadyTime started) : started(started) {}

    SteadyTime started;  // the head was complete
    Request request;
    bool has_body = false;
    std::optional<std::uint64_t> content_length;  // nothing when chunked
    const Route* route = nullptr;
    std::string_view module;
    Arrival arrival;
    Identity identity;
    std::string request_id;
    std::string traceparent;
    Headers response_headers;  // the edge's
    InFlightSlot slot;
};

class Dispatcher {
public:
    /// `in_flight`: this thread's share of ServerLimits::in_flight.
    Dispatcher(
        const Router& router,
        Edge* edge,
        Clock& clock,
        Metrics& metrics,
        std::string server,
        bool access_log,
        std::size_t in_flight
    );

    /// All that is decided before the body is read. Nothing: read it, then call answer().
    Task<std::optional<Response>> admit(Exchange& exchange);
    /// Runs the handler. Never throws: what a handler throws becomes a 500 without words.
    Task<Response> answer(Exchange& exchange);
    /// The problem document of `error`, for faults in the body or in the head.
    Response refuse(Exchange& exchange, const Error& error);
    /// Once for every response, before it is written: the edge's fields, 304, metrics, log.
    void conclude(Exchange& exchange, Response& response);

private:
    struct RouteMetrics {
        Histogram* duration = nullptr;
        boost::container::small_vector<std::pair<int, Counter*>, 6> by_status;
    };

    /// `error` as the asker may know it.
    Error told(const Exchange& exchange, Error error);
    std::optional<Response> find_route(Exchange& exchange);
    std::optional<Error> check_capacity(Exchange& exchange);
    Deadline deadline_of(const Exchange& exchange) const;
    RouteMetrics& metrics_of(const Exchange& exchange);
    void count(const Exchange& exchange, int status, double seconds);
    void log(const Exchange& exchange, int status, double seconds) const;
    std::string_view service(const Exchange& exchange) const;

    const Router& router_;
    Edge* edge_;
    Clock& clock_;
    Metrics& metrics_;
    std::string server_;
    bool access_log_;
    std::size_t limit_;
    std::size_t in_flight_ = 0;
    Logger logger_{"http"};
    SteadyTime fault_logged_at_ = SteadyTime::min();
    // By route and method: HEAD shares GET's route, and requests without a route have only a
    // method.
    std::unordered_map<std::uintptr_t, RouteMetrics> route_metrics_;
};

/// The client's Request-Id when it is sane ([A-Za-z0-9._-]{1,64}), else a new one.
std::string choose_request_id(std::string_view offered, Timestamp now);
/// The client's traceparent when W3C Trace Context allows it, else a new, sampled one.
std::string choose_traceparent(std::string_view offered);
/// Whether If-None-Match names `etag` (weak comparison, RFC 9110 §13.1.2).
bool matches_etag(std::string_view if_none_match, std::string_view etag);
/// Whether a body of this Content-Type is JSON.
bool is_json(std::string_view content_type);

}  // namespace souk::http
