// How the driver's connections are made, made again and counted.
#pragma once

#include "database/postgres/postgres_database.hpp"
#include "database/postgres/session.hpp"

#include <memory>
#include <mutex>
#include <random>
#include <string>

namespace souk::database::postgres {

/// Waits between attempts: twice as long each time up to half a second, so that the database serves
/// again within a second of the server's return; jittered.
class Backoff {
public:
    milliseconds next();
    void reset() { step_ = first; }

private:
    static constexpr milliseconds first{25};
    milliseconds step_ = first;
};

/// A time between half of `at_most` and `at_most`.
milliseconds jittered(milliseconds at_most);

/// Open connections, in a gauge, until the database is gone and its metrics may be.
class Census {
public:
    explicit Census(Gauge& gauge) : gauge_(&gauge) {}
    void add(int n);
    void end();

private:
    std::mutex mutex_;
    Gauge* gauge_;
    int open_ = 0;
};

/// Words on why there is no connection, for any thread.
class Fault {
public:
    void set(std::string words);
    void clear() { set({}); }
    std::string words() const;

private:
    mutable std::mutex mutex_;
    std::string words_;
};

/// What it takes to make a connection of one kind.
struct Connector {
    Connector(
        Executor home,
        Clock& clock,
        Target target,
        std::string setup,
        milliseconds timeout,
        std::shared_ptr<Census> census
    )
        : home(home)
        , clock(clock)
        , target(std::move(target))
        , setup(std::move(setup))
        , timeout(timeout)
        , census(std::move(census)) {}
    const Executor home;
    Clock& clock;
    const Target target;
    const std::string setup;
    const milliseconds timeout;
    const std::shared_ptr<Census> census;
};

/// One connection, or the lack of it.
class Link {
public:
    explicit Link(std::shared_ptr<const Connector> connector);
    ~Link();

    /// Errors: `unavailable` "database_open". `lost` is called once when it breaks.
    Task<Result<void>> connect(std::function<void()> lost);
    bool usable() const { return session_ && session_->usable(); }
    const std::shared_ptr<Session>& session() const { return session_; }
    /// Also ends connect().
    void close();

private:
    std::shared_ptr<const Connector> connector_;
    std::shared_ptr<Session> session_;
    bool counted_ = false;
};

}  // namespace souk::database::postgres
