// Places an order, a customer's or an imported one, at most once per Idempotency-Key. The steps are
// commits of their own, so that a crash between any two can be repaired:
//   claim    the intent: key, hash of the body, the order's id, a lease with a fencing number;
//   reserve  stock at the product module, idempotent by the order's id;
//   commit   order, lines, answer and order.placed in one transaction, guarded by the fence.
// A retry takes an expired lease over under the same order id; what nobody retries, the sweeper
// ends.
#pragma once

#include "app/services.hpp"
#include "domain/order.hpp"
#include "store/orders.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::order::app {

using store::ImportRef;

struct PlaceCommand {
    explicit PlaceCommand(Currency currency) : currency(currency) {}
    std::string caller;
    std::string route;
    std::string key;
    std::string body_hash;
    std::string user_id;
    Currency currency;
    std::vector<domain::Item> items;
    std::string payment_token;
    std::optional<Timestamp> placed_at;  // none: now
    std::optional<ImportRef> import;     // none: a customer's own order
};

/// How answers are written, so that what is stored under the key are the very bytes that are sent.
struct Renderer {
    std::string (*order)(const Order& order);
    std::string (*problem)(const Error& error, std::string_view request_id);
};

struct PlaceAnswer {
    PlaceAnswer() = default;
    PlaceAnswer(int status, std::string body, bool replayed)
        : status(status), body(std::move(body)), replayed(replayed) {}
    int status = 0;
    std::string body;
    bool replayed = false;
};

/// An answer is final: 201, 200 for an import that came before under another key, or a 4xx that is
/// stored. Errors are not stored, so that a retry can succeed: `conflict` "idempotency_in_flight",
/// `unprocessable` "idempotency_key_reused", `conflict` "out_of_stock", `unavailable`, `timeout`.
Task<Result<PlaceAnswer>> place_order(
    Services& services, CallContext ctx, PlaceCommand command, Renderer renderer
);

/// The work of Services::placements.
Task<Placements::Answers> place_together(Services& services, std::vector<PlaceRequest> requests);

}  // namespace souk::order::app
