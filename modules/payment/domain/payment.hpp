// A payment of one order, and an attempt: one request to the provider on its behalf.
#pragma once

#include "souk/clock.hpp"
#include "souk/money.hpp"

#include <string>

namespace souk::payment::domain {

struct Payment {
    Payment(
        std::string id,
        std::string order_id,
        std::string user_id,
        std::string status,
        std::string reason,
        Money total
    )
        : id(std::move(id))
        , order_id(std::move(order_id))
        , user_id(std::move(user_id))
        , status(std::move(status))
        , reason(std::move(reason))
        , total(total) {}
    std::string id;
    std::string order_id;
    std::string user_id;
    std::string status;  // pending, captured, declined, voided, refunding, refunded
    std::string reason;  // of a decline
    Money total;
    std::int64_t version = 0;  // the events announced so far
    Timestamp created_at{};
    Timestamp updated_at{};
};

/// One request to the provider, ready to be sent.
struct Attempt {
    Attempt(
        std::string id,
        std::string payment_id,
        std::string order_id,
        std::string operation,
        std::string charge_id,
        std::string token,
        Money total
    )
        : id(std::move(id))
        , payment_id(std::move(payment_id))
        , order_id(std::move(order_id))
        , operation(std::move(operation))
        , charge_id(std::move(charge_id))
        , token(std::move(token))
        , total(total) {}
    bool is_refund() const { return operation == "refund"; }
    std::string id;
    std::string payment_id;
    std::string order_id;
    std::string operation;  // charge, refund
    std::string charge_id;  // of a refund: the attempt that it gives back
    std::string token;
    Money total;
    std::int64_t tries = 0;
};

}  // namespace souk::payment::domain
