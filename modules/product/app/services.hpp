// What the use cases of this module work with. One object, made by module.cpp.
#pragma once

#include "app/catalogue_cache.hpp"
#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/log.hpp"
#include "souk/together.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

/// Reservations of concurrent orders in one transaction; nothing for those that need one alone.
using Reservations = Together<store::Wish, std::optional<store::Reservation>>;

struct Services {
    /// Without `rendered`, every answer is made anew.
    Services(Database& database, Clock& clock, Logger log, CatalogueCache* rendered = nullptr)
        : database(database), clock(clock), log(std::move(log)), rendered(rendered) {}
    Database& database;
    Clock& clock;
    const Logger log;
    CatalogueCache* const rendered;
    const Reservations* reservations = nullptr;  // where the database gains by it
    /// For background tasks, on their thread: what is under way is the last that they do. Past the
    /// deadline of the stop all but this object may be gone.
    bool stopping = false;
};

}  // namespace souk::product::app
