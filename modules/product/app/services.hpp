// What the use cases of this module work with. One object, made by module.cpp.
#pragma once

#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/log.hpp"

namespace souk::product::app {

struct Services {
    Services(Database& database, Clock& clock, Logger log)
        : database(database), clock(clock), log(std::move(log)) {}
    Database& database;
    Clock& clock;
    const Logger log;
};

}  // namespace souk::product::app
