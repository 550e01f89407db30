#include "host/health.hpp"

namespace souk::host {
namespace {

json::array to_json(const Faults& faults, std::string_view whose) {
    json::array rows;
    for (const auto& [who, why] : faults) {
        json::object row;
        row[whose] = who;
        row["detail"] = why;
        rows.push_back(std::move(row));
    }
    return rows;
}

http::Response to_response(const Readiness& readiness) {
    if (readiness.ready() && readiness.degraded.empty()) {  // asked all the time
        http::Response response(200, "application/json", R"({"status":"ready"})");
        response.headers.set("Cache-Control", "no-store");
        return response;
    }
    json::object body;
    body["status"] = readiness.ready() || readiness.phase != "ready" ? readiness.phase : "unready";
    if (!readiness.unready.empty()) body["modules"] = to_json(readiness.unready, "module");
    if (!readiness.degraded.empty()) body["degraded"] = to_json(readiness.degraded, "part");
    http::Response response = http::Response::json(std::move(body), readiness.ready() ? 200 : 503);
    response.headers.set("Cache-Control", "no-store");
    return response;
}

http::Route probe(std::string path, std::string summary, http::Handler handler) {
    return http::Route(
               http::Method::get,
               std::move(path),
               http::Access::everyone(),
               std::move(summary),
               std::move(handler)
    )
        .rate(http::RateClass::none);
}

}  // namespace

http::Routes health_routes(std::function<Readiness()> look) {
    const http::Handler ready = [look = std::move(look)](const CallContext&, const http::Request&)
        -> Task<Result<http::Response>> { co_return to_response(look()); };
    const http::Handler live = [](const CallContext&,
                                  const http::Request&) -> Task<Result<http::Response>> {
        json::object body;
        body["status"] = "live";
        co_return http::Response::json(std::move(body));
    };
    http::Routes routes;
    routes.push_back(probe("/health", "The same as /health/ready", ready));
    routes.push_back(probe("/health/live", "Does the process answer?", live));
    routes.push_back(probe("/health/ready", "May requests be sent here? 503 when not", ready));
    return routes;
}

}  // namespace souk::host
