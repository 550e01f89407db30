#include "events/rabbitmq/cloud_event.hpp"

#include "souk/json.hpp"

#include <fmt/format.h>

namespace souk::events::rabbitmq {
namespace {

/// With microseconds, which an event's time has.
std::string precise_time(Timestamp t) {
    auto second = std::chrono::floor<seconds>(t);
    std::string text = to_rfc3339(second);
    return fmt::format("{}.{:06}Z", text.substr(0, 19), (t - second).count());
}

std::string json_text(std::string_view text) {
    return json::serialize(json::value(text));
}

Event read(json::ObjectReader& in) {
    constexpr json::TextRule filled{1, 1000};
    Event event;
    in.one_of("specversion", {"1.0"});
    event.id = in.text("id", filled);
    event.type = in.text("type", filled);
    event.aggregate_id = in.text("subject", filled);
    event.version = in.integer("aggregateversion");
    event.traceparent = in.optional_text("traceparent").value_or("");
    auto time = parse_rfc3339(in.text("time", filled));
    if (time)
        event.time = *time;
    else
        in.fault("time", "format", time.error().detail);
    return event;
}

}  // namespace

std::string to_cloud_event(const Event& event) {
    std::string source = "souk/" + event.type.substr(0, event.type.find('.'));
    std::string out = R"({"specversion":"1.0","id":)" + json_text(event.id);
    out += R"(,"source":)" + json_text(source);
    out += R"(,"type":)" + json_text(event.type);
    out += R"(,"subject":)" + json_text(event.aggregate_id);
    out += R"(,"time":)" + json_text(precise_time(event.time));
    out += fmt::format(R"(,"aggregateversion":{})", event.version);
    if (!event.traceparent.empty()) out += R"(,"traceparent":)" + json_text(event.traceparent);
    out += R"(,"datacontenttype":"application/json","data":)" + event.data + "}";
    return out;
}

Result<Event> from_cloud_event(std::string_view text) {
    auto parsed = json::parse(text);
    if (!parsed) return parsed.error();
    auto event = json::decode_as<Event>(text, read, json::Unknown::ignore);
    if (!event) return event.error();
    const json::value* data = parsed->as_object().if_contains("data");
    if (data == nullptr || !data->is_object())
        return invalid("validation_failed", "the event has no data object");
    event->data = json::serialize(*data);
    return event;
}

}  // namespace souk::events::rabbitmq
