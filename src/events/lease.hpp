// What only one process may do at a time: a row in the database where it does it, held until a time
// by the Clock. Its fence rises with each change of hands and guards what the holder writes.
#pragma once

#include "souk/database.hpp"

#include <cstdint>
#include <string>

namespace souk::events {

class Lease {
public:
    /// `name`: "relay/order". `owner` is unique to this bus.
    Lease(
        Database& database,
        const Clock& clock,
        std::string name,
        std::string owner,
        milliseconds duration
    );

    /// Takes or renews it; writes nothing while more than two thirds of it are left. False when
    /// another owner holds it. Errors: the database's.
    Task<Result<bool>> hold();
    /// Whether hold() would write nothing.
    bool held() const { return expires_at_ - clock_.now() > duration_ * 2 / 3; }
    /// Somebody else has it: the next hold() asks the database.
    void forget() { expires_at_ = Timestamp(); }
    /// Lets the next owner have it at once. Errors: the database's.
    Task<Result<void>> give_back();

    const std::string& name() const { return name_; }
    const std::string& owner() const { return owner_; }
    std::int64_t fence() const { return fence_; }

private:
    Database& database_;
    const Clock& clock_;
    std::string name_;
    std::string owner_;
    milliseconds duration_;
    std::int64_t fence_ = 0;
    Timestamp expires_at_{};
};

}  // namespace souk::events
