#include "host/event_routes.hpp"

#include "souk/json.hpp"

namespace souk::host {
namespace {

using http::Access;
using http::Method;
using http::Request;
using http::Response;
using http::Route;

constexpr milliseconds slow{10'000};  // it asks every module's database
constexpr json::TextRule name_rule{1, 100};

struct Letter {
    std::string consumer;
    std::string event_id;
};

Letter read_letter(json::ObjectReader& in) {
    Letter letter;
    letter.consumer = in.text("consumer", name_rule);
    letter.event_id = in.text("event_id", name_rule);
    return letter;
}

/// The event's data as it is, and as text when somebody spoiled it: that may be why it is here.
json::value data_of(const Event& event) {
    auto parsed = json::parse(event.data);
    return parsed ? std::move(*parsed) : json::value(event.data);
}

json::object to_json(const events::DeadLetter& dead) {
    json::object event;
    event["id"] = dead.event.id;
    event["type"] = dead.event.type;
    event["aggregate_id"] = dead.event.aggregate_id;
    event["version"] = dead.event.version;
    event["time"] = to_rfc3339(dead.event.time);
    event["data"] = data_of(dead.event);
    json::object out;
    out["consumer"] = dead.consumer;
    out["attempts"] = dead.attempts;
    out["last_error"] = dead.last_error;
    out["event"] = std::move(event);
    return out;
}

Task<Result<Response>> list(events::EventBus& bus) {
    auto letters = co_await bus.dead_letters();
    if (!letters) co_return letters.error();
    json::array data;
    for (const events::DeadLetter& dead : *letters)
        data.push_back(to_json(dead));
    json::object body;
    body["data"] = std::move(data);
    co_return Response::json(body);
}

using Change = Task<Result<void>> (events::EventBus::*)(std::string, std::string);

Task<Result<Response>> change(events::EventBus& bus, Change wanted, std::string body) {
    auto letter = json::decode_as(body, &read_letter);
    if (!letter) co_return letter.error();
    auto done = co_await (bus.*wanted)(std::move(letter->consumer), std::move(letter->event_id));
    if (!done) co_return done.error();
    co_return Response::no_content();
}

Route change_route(events::EventBus& bus, std::string path, std::string summary, Change wanted) {
    return Route(
               Method::post,
               std::move(path),
               Access::everyone(),
               std::move(summary),
               [&bus, wanted](const CallContext&, const Request& request) {
                   return change(bus, wanted, request.body);
               }
    )
        .body(json::documents<&read_letter>())
        .within(slow)
        .answers(204);
}

}  // namespace

http::Routes event_routes(events::EventBus& bus) {
    http::Routes table;
    table.push_back(Route(
                        Method::get,
                        "/internal/events/dead",
                        Access::everyone(),
                        "Events that a module could not handle",
                        [&bus](const CallContext&, const Request&) { return list(bus); }
    ).within(slow));
    table.push_back(change_route(
        bus,
        "/internal/events/dead/replay",
        "Give a module such an event again",
        &events::EventBus::replay_dead
    ));
    table.push_back(change_route(
        bus,
        "/internal/events/dead/drop",
        "Forget such an event for good",
        &events::EventBus::drop_dead
    ));
    return table;
}

}  // namespace souk::host
