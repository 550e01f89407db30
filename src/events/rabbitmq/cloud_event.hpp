// An event on the wire: CloudEvents 1.0 in the structured JSON mode, with the extensions
// `traceparent` (distributed tracing) and `aggregateversion`.
#pragma once

#include "souk/events.hpp"

#include <string>
#include <string_view>

namespace souk::events::rabbitmq {

inline constexpr std::string_view cloud_event_type = "application/cloudevents+json";

/// `data` goes in as it is.
std::string to_cloud_event(const Event& event);
/// Attributes that are not known are ignored. Errors: `invalid` "malformed_json" or
/// "validation_failed".
Result<Event> from_cloud_event(std::string_view text);

}  // namespace souk::events::rabbitmq
