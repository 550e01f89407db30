// The PostgreSQL driver: libpq without blocking. query() shares one connection among all requests
// of a thread in pipeline mode; transact() owns a connection while its body runs. The latter live
// on one context, the module's home, which any of the process's I/O threads may run; callers on
// other threads are answered there. A broken connection is made again with back-off; a body whose
// connection broke before COMMIT was sent, or that lost a serialization or deadlock, runs again.
#pragma once

#include "souk/database.hpp"
#include "souk/metrics.hpp"

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::database {

/// Connections of a process beyond those that each module has for sure; shared by its databases.
class ConnectionBudget {
public:
    explicit ConnectionBudget(std::size_t spare) : spare_(spare) {}
    bool take();
    void give_back();

private:
    std::atomic<std::size_t> spare_;
};

struct PostgresOptions {
    std::string url;                           // a libpq URI; no {module} left in it
    std::string replica_url;                   // empty: none
    std::filesystem::path password_file = {};  // read at each connect; empty: as in the url
    std::size_t transactions = 1;              // connections for transact() that need no budget
    std::shared_ptr<ConnectionBudget> budget = {};  // for more of them, given back when idle
    std::size_t queue_limit = 1024;  // waiting transactions or queries; then `unavailable` "busy"
    milliseconds connect_timeout{5000};
    milliseconds statement_timeout{5000};  // of one statement of query()
};

/// Connects once, so that a wrong configuration is told at the start. Errors: `unavailable`
/// "database_open" with the server's words and what to do: no server, wrong password, no such
/// database, a server before version 13, no right to create tables, no space left. The result may
/// be destroyed on any thread, also after `home` has stopped, when no call is in flight. `readers`:
/// the contexts that have a connection for reads each, for calls that begin there; none: `home`
/// alone.
Task<Result<std::unique_ptr<Database>>> open_postgres(
    PostgresOptions options,
    Executor home,
    Clock& clock,
    Metrics& metrics,
    std::vector<Executor> readers = {}
);

}  // namespace souk::database
