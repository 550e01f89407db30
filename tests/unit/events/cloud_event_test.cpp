// An event goes over the wire and comes back as it was; what is no event is refused.
#include "events/rabbitmq/cloud_event.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace souk;
using events::rabbitmq::from_cloud_event;
using events::rabbitmq::to_cloud_event;

namespace {

Event sample() {
    Event event("order.placed", "ord_\"1\"", 7, R"({"total":{"amount":1250,"currency":"EUR"}})");
    event.id = "evt_1";
    event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    event.time = from_micros(1'767'225'600'123'456);
    return event;
}

bool reads(const std::string& text) {
    return from_cloud_event(text).has_value();
}

std::string without(std::string text, const std::string& part) {
    return text.replace(text.find(part), part.size(), "");
}

}  // namespace

TEST_CASE("cloud event: comes back as it was, to the microsecond") {
    const Event event = sample();
    const Event back = from_cloud_event(to_cloud_event(event)).value();
    CHECK(back.id == event.id);
    CHECK(back.type == event.type);
    CHECK(back.aggregate_id == event.aggregate_id);
    CHECK(back.version == event.version);
    CHECK(back.data == event.data);
    CHECK(back.traceparent == event.traceparent);
    CHECK(back.time == event.time);
}

TEST_CASE("cloud event: what others add is ignored, what is missing is told") {
    const std::string text = to_cloud_event(sample());
    CHECK(reads(R"({"more":1,)" + text.substr(1)));
    CHECK_FALSE(reads(without(text, R"("id":"evt_1",)")));
    CHECK_FALSE(reads(without(text, R"("specversion":"1.0",)")));
    CHECK_FALSE(reads(without(text, R"("aggregateversion":7,)")));
    CHECK_FALSE(reads(without(text, text.substr(text.find(R"(,"data":)")))));
    for (const char* junk : {"", "[]", "null", "{}", "\xff", "{\"id\":1}"})
        CHECK_FALSE(reads(junk));
}
