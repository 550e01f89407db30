// The databases of the modules in one data folder: opened, and their schemas brought up to date.
#pragma once

#include "host/config.hpp"
#include "host/data_folder.hpp"
#include "host/host.hpp"
#include "souk/clock.hpp"
#include "souk/database.hpp"
#include "souk/module.hpp"

#include <filesystem>
#include <memory>
#include <vector>

namespace souk::host {

struct Store {
    Store(const ModuleInfo& info, std::filesystem::path folder, std::unique_ptr<Database> database)
        : info(&info), folder(std::move(folder)), database(std::move(database)) {}
    const ModuleInfo* info;
    std::filesystem::path folder;  // <data>/<module>
    std::unique_ptr<Database> database;
};

/// Errors: those of the folder and the driver, for all modules at once.
Result<std::vector<Store>> open_stores(
    const DataFolder& folder,
    const Config& config,
    const std::vector<const ModuleInfo*>& modules,
    const Clock& clock
);

/// Errors: those of database::migrate, with the module's name. `stores` must outlive the call.
Task<Result<std::vector<Migrated>>> migrate_stores(
    const std::vector<Store>& stores, const Clock& clock
);

}  // namespace souk::host
