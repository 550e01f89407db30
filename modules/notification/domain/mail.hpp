// A mail that a customer shall get, and the words in it. Pure.
#pragma once

#include "souk/clock.hpp"
#include "souk/money.hpp"

#include <string>
#include <string_view>

namespace souk::notification::domain {

struct Mail {
    Mail(std::string id, std::string mail_template, std::string order_id, std::string user_id)
        : id(std::move(id))
        , mail_template(std::move(mail_template))
        , order_id(std::move(order_id))
        , user_id(std::move(user_id)) {}
    std::string id;
    std::string mail_template;  // "order_paid", "order_cancelled"
    std::string order_id;
    std::string user_id;
    std::string status;
    std::int64_t tries = 0;
    Timestamp created_at{};
};

/// The same event always makes the same mail. Safe as a file name whatever the event's id is.
std::string mail_id(std::string_view event_id);

/// "0.001 GBP": the currency's decimals, and more where the price is finer.
std::string unit_price_text(UnitPrice price, Currency currency);

/// What comes after "because" for an order's cancel reason; empty when there is nothing to say.
std::string_view cancel_reason_text(std::string_view reason);

/// When a mail that could not be made is tried again: from 1 s, doubled, to 5 minutes.
microseconds retry_delay(std::int64_t tries);

}  // namespace souk::notification::domain
