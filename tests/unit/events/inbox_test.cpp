// Whom the inbox blames, on a database that fails as told.
#include "events/inbox.hpp"

#include "base/virtual_clock.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <stdexcept>

using namespace souk;
using events::Blame;

namespace {

constexpr Statement effect{"test.effect", "UPDATE effect SET n = n + 1"};

class FakeDatabase final : public Database, public Transaction {
public:
    Task<Result<Rows>> query(const Statement&, Params, Deadline) override {
        co_return unavailable("unused", "");
    }
    Task<Result<void>> transact(TransactionBody body, Deadline) override {
        if (busy) co_return unavailable("busy", "the queue is full");
        std::set<std::string> before = inbox;
        for (int run = 1; run < runs; ++run) {
            (void)co_await body(*this);
            inbox = before;
        }
        Result<void> done = co_await body(*this);
        if (done && commit_error) done = *commit_error;
        if (!done) inbox = before;
        co_return done;
    }
    Task<Result<Rows>> execute(const Statement&, Params) override {
        if (execute_error) co_return *execute_error;
        co_return Rows();
    }
    Task<Result<std::vector<Rows>>> execute_all(const Statement&, std::vector<Params> sets)
        override {
        std::vector<Rows> all(sets.size());
        for (std::size_t i = 0; i < sets.size(); ++i)
            if (const auto& id = std::get<std::string>(sets[i][1]); inbox.insert(id).second) {
                all[i].start(1);
                all[i].add_text(id);
                all[i].set_affected(1);
            }
        co_return all;
    }
    Dialect dialect() const override { return Dialect::sqlite; }

    /// What the body asked for, as a driver keeps it.
    std::size_t wishes() const { return after_commit_.size(); }

    bool busy = false;
    int runs = 1;
    std::optional<Error> execute_error;
    std::optional<Error> commit_error;
    std::set<std::string> inbox;
};

struct World {
    explicit World(EventHandler handler)
        : World(Subscription("order.placed", std::move(handler))) {}
    explicit World(Subscription subscription) : inbox("payment", database, clock) {
        inbox.subscribe(std::move(subscription)).value();
    }
    events::Consumed consume(std::vector<std::string> ids) {
        std::vector<Event> all;
        for (std::string& id : ids) {
            all.emplace_back("order.placed", "ord_1", 1, "{}");
            all.back().id = std::move(id);
        }
        return test::run_task(inbox.consume(std::move(all)));
    }
    base::VirtualClock clock;
    FakeDatabase database;
    events::Inbox inbox;
};

Task<Result<void>> write_effect(Transaction& tx, const Event&) {
    Result<Rows> done = co_await tx.execute(effect);
    if (!done) co_return done.error();
    co_return Result<void>();
}
Task<Result<void>> refuse_b(Transaction&, const Event& event) {
    if (event.id == "b") co_return conflict("refused", "b");
    co_return Result<void>();
}
Task<Result<void>> throw_at_b(Transaction&, const Event& event) {
    if (event.id == "b") throw std::runtime_error("b is not for me");
    co_return Result<void>();
}

Task<Result<void>> wish(Transaction& tx, const Event&) {
    tx.after_commit([] {});
    co_return Result<void>();
}

}  // namespace

TEST_CASE("what a handler wants done after the commit reaches the database") {
    World world(wish);
    CHECK(world.consume({"a", "b"}).applied == 2);
    CHECK(world.database.wishes() == 2);
}

TEST_CASE("what is known takes no second effect, also within one batch") {
    World world(write_effect);
    CHECK(world.consume({"a", "b"}).applied == 2);
    events::Consumed again = world.consume({"a", "b", "c", "c"});
    CHECK(again.blame == Blame::none);
    CHECK(again.applied == 1);
}

TEST_CASE("the event that its handler refuses is named") {
    World world(GENERATE(EventHandler(refuse_b), EventHandler(throw_at_b)));
    events::Consumed out = world.consume({"a", "b", "c"});
    CHECK(out.blame == Blame::event);
    CHECK(out.at == 1);
    CHECK(out.applied == 0);
    CHECK_FALSE(out.error.detail.empty());
    CHECK(world.database.inbox.empty());
}

TEST_CASE("what comes one after another is handled together, what is known is left out") {
    std::vector<std::string> seen;  // a batch a text
    std::optional<Error> refusal;
    BatchHandler handler = [&](Transaction&, std::span<const Event> all) -> Task<Result<void>> {
        std::string ids;
        for (const Event& event : all)
            ids += event.id;
        seen.push_back(ids);
        if (refusal) co_return *refusal;
        co_return Result<void>();
    };
    World world(Subscription("order.placed", std::move(handler)));
    CHECK(world.consume({"c", "f"}).applied == 2);
    CHECK(world.consume({"a", "b", "c", "d", "d", "e"}).applied == 4);
    CHECK(seen == std::vector<std::string>{"cf", "ab", "d", "e"});

    // Of several nobody knows whose fault it is, of one everybody.
    refusal = conflict("refused", "one of them");
    CHECK(world.consume({"x", "y"}).blame == Blame::batch);
    CHECK(world.consume({"x"}).blame == Blame::event);
    CHECK_FALSE(world.database.inbox.contains("x"));
}

TEST_CASE("a handler that hands on the database's outage is not to blame") {
    World world(write_effect);
    world.database.execute_error = unavailable("disk_full", "no room");
    CHECK(world.consume({"a"}).blame == Blame::database);
    world.database.execute_error = Error(ErrorKind::timeout, "timeout", "too slow");
    CHECK(world.consume({"a"}).blame == Blame::batch);
    world.database.execute_error = conflict("check_violation", "stock");
    CHECK(world.consume({"a"}).blame == Blame::event);
}

TEST_CASE("what fails outside the handlers is nobody's fault") {
    World world(write_effect);
    world.database.busy = true;
    CHECK(world.consume({"a"}).blame == Blame::database);
    world.database.busy = false;
    world.database.commit_error = unavailable("commit_unknown", "");
    CHECK(world.consume({"a"}).blame == Blame::database);
    world.database.commit_error = conflict("foreign_key_violation", "found at COMMIT");
    CHECK(world.consume({"a", "b"}).blame == Blame::batch);
    world.database.commit_error = Error(ErrorKind::timeout, "timeout", "");
    CHECK(world.consume({"a", "b"}).blame == Blame::batch);
}

TEST_CASE("a body that runs again counts once") {
    World world(write_effect);
    world.database.runs = 3;
    CHECK(world.consume({"a", "b"}).applied == 2);
}
