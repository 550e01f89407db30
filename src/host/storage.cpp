#include "host/storage.hpp"

#include "database/migrate.hpp"
#include "database/postgres/postgres_database.hpp"
#include "database/sqlite/sqlite_database.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace souk::host {
namespace {

constexpr std::string_view placeholder = "{module}";

// Each is a process of the server: more than two read more than a module needs.
constexpr std::size_t most_readers = 2;

/// Of a module for sure: one for its transactions, and one that the reads of a thread share, which
/// have another to the replica.
std::size_t sure_connections(const Config& config, std::size_t readers) {
    return 1 + readers * (config.text("postgres.replica_url").empty() ? 1 : 2);
}

/// The threads that have a connection for reads of their own: one where two would be too many.
std::size_t readers_of(const Config& config, std::size_t modules, std::size_t threads) {
    const auto all = static_cast<std::size_t>(config.integer("postgres.connections"));
    const std::size_t readers = std::min(most_readers, threads);
    return all < modules * sure_connections(config, readers) ? 1 : readers;
}

Result<std::unique_ptr<Database>> open_embedded(
    const DataFolder& folder, const Config& config, std::string_view module, const Clock& clock
) {
    auto path = module_folder(folder.path(), module);
    if (!path) return path.error();
    database::SqliteOptions options;
    options.file = *path / fmt::format("{}.sqlite", module);
    options.readers = static_cast<std::size_t>(config.integer("sqlite.readers"));
    options.queue_limit = static_cast<std::size_t>(config.integer("sqlite.queue_limit"));
    options.transactions_per_commit =
        static_cast<std::size_t>(config.integer("sqlite.transactions_per_commit"));
    return database::open_sqlite(std::move(options), clock);
}

Result<std::shared_ptr<database::ConnectionBudget>> budget_of(
    const Config& config, std::size_t modules, std::size_t readers
) {
    const auto all = static_cast<std::size_t>(config.integer("postgres.connections"));
    const std::size_t sure = modules * sure_connections(config, readers);
    if (all < sure)
        return invalid(
            "postgres",
            fmt::format(
                "postgres.connections is {}, but {} modules need at least {}", all, modules, sure
            )
        );
    return std::make_shared<database::ConnectionBudget>(all - sure);
}

Result<void> check_url(const Config& config, std::size_t modules) {
    if (modules < 2) return Result<void>();
    for (const char* key : {"postgres.url", "postgres.replica_url"}) {
        const std::string& url = config.text(key);
        if (!url.empty() && url.find(placeholder) == std::string::npos)
            return invalid(
                "postgres",
                fmt::format(
                    "{} names one database, but this process runs {} modules, and each has a "
                    "database of its own: put {{module}} where their names differ, such as "
                    "postgresql://souk_{{module}}@host/souk_{{module}}",
                    key,
                    modules
                )
            );
    }
    return Result<void>();
}

database::PostgresOptions postgres_options(
    const Config& config,
    std::string_view module,
    std::shared_ptr<database::ConnectionBudget> budget
) {
    database::PostgresOptions options;
    options.url = for_module(config.text("postgres.url"), module);
    options.replica_url = for_module(config.text("postgres.replica_url"), module);
    options.password_file = for_module(config.text("postgres.password_file"), module);
    options.budget = std::move(budget);
    options.queue_limit = static_cast<std::size_t>(config.integer("postgres.queue_limit"));
    options.connect_timeout = config.duration("postgres.connect_timeout");
    options.statement_timeout = config.duration("postgres.statement_timeout");
    return options;
}

}  // namespace

std::string for_module(std::string text, std::string_view module) {
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos;) {
        text.replace(at, placeholder.size(), module);
        at += module.size();
    }
    return text;
}

Task<Result<std::vector<Store>>> open_stores(
    const DataFolder& folder,
    const Config& config,
    std::vector<const ModuleInfo*> modules,
    std::vector<Executor> homes,
    Clock& clock,
    Metrics& metrics
) {
    const bool on_postgres = !config.text("postgres.url").empty();
    std::shared_ptr<database::ConnectionBudget> budget;
    std::vector<Executor> readers;
    if (on_postgres) {
        auto fits = check_url(config, modules.size());
        if (!fits) co_return fits.error();
        const std::size_t count = readers_of(config, modules.size(), homes.size());
        readers.assign(homes.begin(), homes.begin() + static_cast<std::ptrdiff_t>(count));
        auto shared = budget_of(config, modules.size(), count);
        if (!shared) co_return shared.error();
        budget = std::move(*shared);
    }
    std::filesystem::path files = config.text("data.shared");
    if (files.empty()) files = folder.path();

    std::vector<Store> stores;
    std::string faults;
    const auto fault = [&faults](const ModuleInfo& info, const Error& error) {
        faults += fmt::format("{}{}: {}", faults.empty() ? "" : "\n", info.name, error.detail);
    };
    for (std::size_t i = 0; i < modules.size(); ++i) {
        const ModuleInfo& info = *modules[i];
        auto own = module_folder(files, info.name);
        if (!own) {
            fault(info, own.error());
            continue;
        }
        Result<std::unique_ptr<Database>> opened = Error();
        if (on_postgres) {
            auto options = postgres_options(config, info.name, budget);
            opened = co_await database::open_postgres(
                std::move(options), homes[i % homes.size()], clock, metrics, readers
            );
        } else {
            opened = open_embedded(folder, config, info.name, clock);
        }
        if (opened)
            stores.emplace_back(info, std::move(*own), std::move(*opened));
        else
            fault(info, opened.error());
    }
    if (!faults.empty()) co_return unavailable("database_open", std::move(faults));
    co_return stores;
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
