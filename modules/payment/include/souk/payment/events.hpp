// What `payment` announces. The aggregate is the payment of one order (id "pay_..."), the version
// its own. JSON: payment.captured {order_id, payment_id, amount, currency}; payment.declined
// {order_id, payment_id, reason}; payment.refunded {order_id, payment_id, amount, currency}.
#pragma once

#include <string_view>

namespace souk::payment::events {

inline constexpr std::string_view captured = "payment.captured";
inline constexpr std::string_view declined = "payment.declined";
inline constexpr std::string_view refunded = "payment.refunded";

}  // namespace souk::payment::events
