// What the use cases of this module work with. One object, made by module.cpp.
#pragma once

#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/events.hpp"
#include "souk/log.hpp"
#include "souk/money.hpp"
#include "souk/payment/api.hpp"
#include "souk/product/api.hpp"
#include "souk/together.hpp"
#include "store/intents.hpp"
#include "store/orders.hpp"

#include <memory>
#include <optional>
#include <string>

namespace souk::order::app {

struct Limits {
    Limits(Currency currency, milliseconds intent_lease, milliseconds payment_timeout)
        : currency(currency), intent_lease(intent_lease), payment_timeout(payment_timeout) {}
    Currency currency;
    milliseconds intent_lease;
    milliseconds payment_timeout;
};

/// The first and the last commit of concurrent orders, many in one transaction. Nothing, or false,
/// for those that need one alone.
struct ClaimRequest {
    ClaimRequest(store::IntentRequest intent, Deadline deadline)
        : intent(std::move(intent)), deadline(deadline) {}
    store::IntentRequest intent;
    Deadline deadline;
};
struct ClaimOutcome {
    ClaimOutcome() = default;
    bool decided = false;
    std::optional<store::Claimed> claimed;
};
struct PlaceRequest {
    PlaceRequest(
        std::shared_ptr<const store::Placing> placing, std::string traceparent, Deadline deadline
    )
        : placing(std::move(placing)), traceparent(std::move(traceparent)), deadline(deadline) {}
    std::shared_ptr<const store::Placing> placing;
    std::string traceparent;
    Deadline deadline;
};
using Claims = Together<ClaimRequest, ClaimOutcome>;
using Placements = Together<PlaceRequest, bool>;

struct Services {
    Services(Database& database, Clock& clock, Bus& bus, Logger log, Limits limits)
        : database(database), clock(clock), bus(bus), log(std::move(log)), limits(limits) {}
    Database& database;
    Clock& clock;
    Bus& bus;
    const Logger log;
    const Limits limits;
    product::Api* product = nullptr;  // both are there from Module::start() on
    payment::Api* payment = nullptr;
    const Claims* claims = nullptr;  // both where the database gains by them
    const Placements* placements = nullptr;
    /// For background tasks, on their thread: what is under way is the last that they do. Past the
    /// deadline of the stop all but this object may be gone.
    bool stopping = false;
};

}  // namespace souk::order::app
