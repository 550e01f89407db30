#include "base/virtual_clock.hpp"
#include "souk/events.hpp"
#include "souk/failpoint.hpp"
#include "souk/id.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

using namespace souk;

namespace {

/// Notes what it is asked to execute, and answers with `failure` when it is set.
class RecordingTransaction final : public Transaction {
public:
    Task<Result<Rows>> execute(const Statement& statement, Params params) override {
        sql = statement.sql;
        bound = std::move(params);
        if (failure) co_return *failure;
        co_return Rows();
    }
    Task<Result<std::vector<Rows>>> execute_all(const Statement&, std::vector<Params>) override {
        co_return std::vector<Rows>();
    }

    std::string sql;
    Params bound;
    std::optional<Error> failure;
};

Event placed() {
    Event event("order.placed", "ord_1", 1, R"({"a":1})");
    event.traceparent = "00-trace";
    return event;
}

}  // namespace

TEST_CASE("an event is one row of the outbox", "[outbox]") {
    base::VirtualClock clock;
    RecordingTransaction tx;
    REQUIRE(test::run_task(append_event(tx, clock, placed())));
    CHECK(
        tx.sql.find("INSERT INTO outbox (event_id, type, aggregate_id, version, data, "
                    "traceparent, occurred_at)") == 0
    );
    REQUIRE(tx.bound.size() == 7);
    CHECK(is_id(std::get<std::string>(tx.bound[0]), "evt"));
    CHECK(std::get<std::string>(tx.bound[1]) == "order.placed");
    CHECK(std::get<std::string>(tx.bound[2]) == "ord_1");
    CHECK(std::get<std::int64_t>(tx.bound[3]) == 1);
    CHECK(std::get<std::string>(tx.bound[4]) == R"({"a":1})");
    CHECK(std::get<std::string>(tx.bound[5]) == "00-trace");
    CHECK(std::get<std::int64_t>(tx.bound[6]) == to_micros(clock.now()));
}

TEST_CASE("the database's error comes back", "[outbox]") {
    base::VirtualClock clock;
    RecordingTransaction tx;
    tx.failure = conflict("unique_violation", "outbox");
    CHECK(test::run_task(append_event(tx, clock, placed())).error().code == "unique_violation");
    CHECK(is_retryable(gap()));
}

#ifdef SOUK_FAILPOINTS
TEST_CASE("an armed outbox.append fails before the row is written", "[outbox]") {
    base::VirtualClock clock;
    RecordingTransaction tx;
    failpoint::arm("outbox.append", "error");
    auto result = test::run_task(append_event(tx, clock, placed()));
    failpoint::arm("outbox.append", "off");
    CHECK(result.error().kind == ErrorKind::unavailable);
    CHECK(tx.sql.empty());
}
#endif
