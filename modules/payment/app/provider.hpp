// The payment provider as we see it. Each request carries our attempt's id as its idempotency key:
// a repeat of one id never moves money twice, two ids do. An `Error` is an unknown outcome (it may
// have happened): send the same id again until the answer is definite.
#pragma once

#include "souk/async.hpp"
#include "souk/clock.hpp"
#include "souk/error.hpp"
#include "souk/money.hpp"

#include <string>
#include <vector>

namespace souk::payment::app {

struct ChargeRequest {
    ChargeRequest(std::string attempt_id, std::string order_id, std::string token, Money total)
        : attempt_id(std::move(attempt_id))
        , order_id(std::move(order_id))
        , token(std::move(token))
        , total(total) {}
    std::string attempt_id;
    std::string order_id;  // the merchant's reference, in the provider's books
    std::string token;
    Money total;
};

struct RefundRequest {
    RefundRequest(std::string attempt_id, std::string charge_id, Money total)
        : attempt_id(std::move(attempt_id)), charge_id(std::move(charge_id)), total(total) {}
    std::string attempt_id;
    std::string charge_id;  // the attempt that charged
    Money total;
};

/// A definite answer.
struct Answer {
    static Answer yes() { return Answer(true, {}); }
    static Answer no(std::string reason) { return Answer(false, std::move(reason)); }
    bool done;
    std::string reason;  // when not done: "card_declined", "invalid_token"

private:
    Answer(bool done, std::string reason) : done(done), reason(std::move(reason)) {}
};

/// What the provider's own books say about one order.
struct Book {
    Book() = default;
    std::string order_id;
    std::int64_t captures = 0;
    std::int64_t refunds = 0;
    std::int64_t amount = 0;  // captured minus refunded
    std::string currency;
};

class Provider {
public:
    virtual ~Provider() = default;
    /// At the start, and again after a fault until it succeeds. Errors: `unavailable`
    /// "provider_books" with words when the provider cannot be used.
    virtual Task<Result<void>> open() = 0;
    /// Why it cannot be used at the moment, in words for an operator; empty when it can. Any
    /// thread.
    virtual std::string fault() const { return {}; }
    /// Both answer at `deadline` at the latest; on the executor of the module only.
    virtual Task<Result<Answer>> charge(ChargeRequest request, Deadline deadline) = 0;
    virtual Task<Result<Answer>> refund(RefundRequest request, Deadline deadline) = 0;
    /// In order of order_id, from any thread. Errors: as open().
    virtual Task<Result<std::vector<Book>>> books(
        std::string after_order_id, std::size_t limit
    ) = 0;
};

}  // namespace souk::payment::app
