// What the use cases of this module work with. One object, made by module.cpp.
#pragma once

#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/events.hpp"
#include "souk/log.hpp"
#include "souk/money.hpp"
#include "souk/payment/api.hpp"
#include "souk/product/api.hpp"

namespace souk::order::app {

struct Limits {
    Limits(Currency currency, milliseconds intent_lease, milliseconds payment_timeout)
        : currency(currency), intent_lease(intent_lease), payment_timeout(payment_timeout) {}
    Currency currency;
    milliseconds intent_lease;
    milliseconds payment_timeout;
};

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
    /// For background tasks, on their thread: what is under way is the last that they do. Past the
    /// deadline of the stop all but this object may be gone.
    bool stopping = false;
};

}  // namespace souk::order::app
