// What `order` announces. The aggregate is the order, `Event::version` the order's version. The
// JSON object of each: order.placed {order_id, number, user_id, amount, currency, payment_token};
// order.paid {order_id, number, user_id, amount, currency}; order.cancelled the same plus `reason`.
#pragma once

#include <string_view>

namespace souk::order::events {

inline constexpr std::string_view placed = "order.placed";
inline constexpr std::string_view paid = "order.paid";
inline constexpr std::string_view cancelled = "order.cancelled";

}  // namespace souk::order::events
