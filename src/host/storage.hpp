// The databases of the modules, opened, and their schemas brought up to date: SQLite files in the
// data folder, or PostgreSQL where postgres.url is set.
#pragma once

#include "host/config.hpp"
#include "host/data_folder.hpp"
#include "host/host.hpp"
#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/metrics.hpp"
#include "souk/module.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

struct Store {
    Store(const ModuleInfo& info, std::filesystem::path folder, std::unique_ptr<Database> database)
        : info(&info), folder(std::move(folder)), database(std::move(database)) {}
    const ModuleInfo* info;
    std::filesystem::path folder;  // for the module's files
    std::unique_ptr<Database> database;
};

/// `text` with each "{module}" replaced.
std::string for_module(std::string text, std::string_view module);

/// On PostgreSQL the modules' transactions live on `homes`, one after another, and the reads of
/// each on the first two, where postgres.connections allows it. Errors: `invalid` "postgres" (a URL
/// for one module, too few connections), those of the folder and the driver; for all modules at
/// once.
Task<Result<std::vector<Store>>> open_stores(
    const DataFolder& folder,
    const Config& config,
    std::vector<const ModuleInfo*> modules,
    std::vector<Executor> homes,
    Clock& clock,
    Metrics& metrics
);

/// Errors: those of database::migrate, with the module's name. `stores` must outlive the call.
Task<Result<std::vector<Migrated>>> migrate_stores(
    const std::vector<Store>& stores, const Clock& clock
);

}  // namespace souk::host
