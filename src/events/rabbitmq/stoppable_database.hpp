// A module's database as the bus's loops see it: a loop that is still under way when the bus has
// stopped begins nothing more there, so that it never meets a database that its owner has closed.
#pragma once

#include "events/bus_context.hpp"
#include "souk/database.hpp"

#include <memory>
#include <utility>

namespace souk::events::rabbitmq {

/// Errors: `unavailable` "stopped", and the database's.
class StoppableDatabase final : public Database {
public:
    StoppableDatabase(std::shared_ptr<const BusContext> bus, Database& database)
        : bus_(std::move(bus)), database_(database), dialect_(database.dialect()) {}

    Task<Result<Rows>> query(const Statement& statement, Params params, Deadline deadline)
        override {
        if (bus_->stopping) co_return stopped();
        co_return co_await database_.query(statement, std::move(params), deadline);
    }
    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        if (bus_->stopping) co_return stopped();
        co_return co_await database_.transact(std::move(body), deadline);
    }
    Dialect dialect() const override { return dialect_; }

private:
    static Error stopped() { return unavailable("stopped", "the bus has stopped"); }

    std::shared_ptr<const BusContext> bus_;
    Database& database_;
    const Dialect dialect_;
};

}  // namespace souk::events::rabbitmq
