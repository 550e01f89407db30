#include "host/storage.hpp"

#include "database/migrate.hpp"
#include "database/sqlite/sqlite_database.hpp"

#include <fmt/format.h>

namespace souk::host {
namespace {

Result<Store> open_store(
    const DataFolder& folder, const Config& config, const ModuleInfo& info, const Clock& clock
) {
    auto path = folder.module_folder(info.name);
    if (!path) return path.error();
    database::SqliteOptions options;
    options.file = *path / fmt::format("{}.sqlite", info.name);
    options.readers = static_cast<std::size_t>(config.integer("sqlite.readers"));
    options.queue_limit = static_cast<std::size_t>(config.integer("sqlite.queue_limit"));
    options.transactions_per_commit =
        static_cast<std::size_t>(config.integer("sqlite.transactions_per_commit"));
    auto opened = database::open_sqlite(std::move(options), clock);
    if (!opened) return opened.error();
    return Store(info, std::move(*path), std::move(*opened));
}

}  // namespace

Result<std::vector<Store>> open_stores(
    const DataFolder& folder,
    const Config& config,
    const std::vector<const ModuleInfo*>& modules,
    const Clock& clock
) {
    std::vector<Store> stores;
    std::string faults;
    for (const ModuleInfo* info : modules) {
        auto store = open_store(folder, config, *info, clock);
        if (store)
            stores.push_back(std::move(*store));
        else
            faults += fmt::format(
                "{}{}: {}", faults.empty() ? "" : "\n", info->name, store.error().detail
            );
    }
    if (!faults.empty()) return unavailable("database_open", std::move(faults));
    return stores;
}

Task<Result<std::vector<Migrated>>> migrate_stores(
    const std::vector<Store>& stores, const Clock& clock
) {
    std::vector<Migrated> out;
    for (const Store& store : stores) {
        std::vector<Migration> migrations = store.info->migrations;
        auto report = co_await database::migrate(*store.database, clock, std::move(migrations));
        if (!report) {
            Error error = report.error();
            error.detail = fmt::format("{}: {}", store.info->name, error.detail);
            co_return error;
        }
        out.emplace_back(std::string(store.info->name), std::move(report->applied));
    }
    co_return out;
}

}  // namespace souk::host
