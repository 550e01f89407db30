#include "events/inbox.hpp"

#include <exception>
#include <functional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace souk::events {
namespace {

// On SQLite a row that is returned costs a table of the moment; there each insert says whether it
// was the first.
constexpr Statement insert_row{
    "inbox.insert",
    "INSERT INTO inbox (consumer, event_id, received_at) VALUES ($1, $2, $3) "
    "ON CONFLICT DO NOTHING"};
constexpr Statement insert_rows{
    "inbox.insert_rows",
    "",
    "INSERT INTO inbox (consumer, event_id, received_at) "
    "SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[])) "
    "ON CONFLICT DO NOTHING RETURNING event_id"};
// Event ids begin with their time, so the primary key's order is nearly that of age.
constexpr Statement read_rows{
    "inbox.read_page",
    "SELECT event_id, received_at FROM inbox WHERE consumer = $1 AND event_id > $2 "
    "ORDER BY event_id LIMIT $3"};
constexpr Statement delete_rows{
    "inbox.prune",
    "DELETE FROM inbox WHERE consumer = $1 AND event_id > $2 AND event_id <= $3 "
    "AND received_at < $4"};

constexpr seconds transaction_time{30};

bool is_outage(const Error& error) {
    return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::timeout;
}

Error from_exception(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
        return failure.error;
    } catch (const std::exception& e) {
        return Error(ErrorKind::internal, "handler_exception", e.what());
    } catch (...) {
        return Error(ErrorKind::internal, "handler_exception", "unknown exception");
    }
}

/// Remembers whether the database itself failed: a handler hands such an error on as its own, yet
/// it says nothing about the event.
class Watched final : public Transaction {
public:
    explicit Watched(Transaction& inner) : inner_(inner) {}

    Task<Result<Rows>> execute(const Statement& statement, Params params) override {
        Result<Rows> rows = co_await inner_.execute(statement, std::move(params));
        if (!rows) note(rows.error());
        co_return rows;
    }
    Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) override {
        Result<std::vector<Rows>> rows = co_await inner_.execute_all(statement, std::move(params));
        if (!rows) note(rows.error());
        co_return rows;
    }
    Task<Result<Rows>> execute_set(const Statement& statement, std::vector<Params> rows) override {
        Result<Rows> written = co_await inner_.execute_set(statement, std::move(rows));
        if (!written) note(written.error());
        co_return written;
    }
    Task<Result<void>> execute_later(const Statement& statement, Params row) override {
        Result<void> taken = co_await inner_.execute_later(statement, std::move(row));
        if (!taken) note(taken.error());
        co_return taken;
    }
    // execute_last() stays execute(): what one handler ends with is not the end of the batch.
    Dialect dialect() const override { return inner_.dialect(); }
    void after_commit(std::function<void()> work) override { inner_.after_commit(std::move(work)); }
    bool failed() const { return failed_; }

private:
    void note(const Error& error) { failed_ = failed_ || is_outage(error); }

    Transaction& inner_;
    bool failed_ = false;
};

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>()(text);
    }
};
using Handlers = std::unordered_map<std::string, Subscription, TextHash, std::equal_to<>>;

Task<Result<void>> call(
    const Subscription& subscription, Transaction& tx, std::span<const Event> events
) {
    std::exception_ptr thrown;
    try {
        if (subscription.batch_handler) co_return co_await subscription.batch_handler(tx, events);
        co_return co_await subscription.handler(tx, events.front());
    } catch (...) {
        thrown = std::current_exception();
    }
    co_return from_exception(thrown);
}

using Ids = std::unordered_set<std::string_view>;

/// Of `events`, those that the inbox did not have.
Task<Result<Ids>> insert_all(
    Transaction& tx, const std::string& consumer, std::span<const Event> events, Timestamp now
) {
    std::vector<Params> rows;
    rows.reserve(events.size());
    for (const Event& event : events)
        rows.push_back(bind(consumer, event.id, now));
    Ids ids;
    if (tx.dialect() == Dialect::sqlite) {
        auto inserted = co_await tx.execute_all(insert_row, std::move(rows));
        if (!inserted) co_return inserted.error();
        for (std::size_t i = 0; i < events.size(); ++i)
            if ((*inserted)[i].affected() == 1) ids.insert(events[i].id);
        co_return ids;
    }
    auto inserted = co_await tx.execute_set(insert_rows, std::move(rows));
    if (!inserted) co_return inserted.error();
    Ids returned;
    for (std::size_t i = 0; i < inserted->size(); ++i)
        returned.insert((*inserted)[i].text(0));
    for (const Event& event : events)
        if (returned.contains(event.id)) ids.insert(event.id);
    co_return ids;
}

Task<Result<void>> delete_page(Transaction& tx, Params page) {
    Result<Rows> deleted = co_await tx.execute_last(delete_rows, std::move(page));
    if (!deleted) co_return deleted.error();
    co_return Result<void>();
}

}  // namespace

struct Inbox::State {
    std::string consumer;
    Handlers handlers;
};

struct Inbox::Batch {
    Batch(std::shared_ptr<const State> inbox, std::vector<Event> events, Timestamp now)
        : inbox(std::move(inbox)), events(std::move(events)), now(now) {}
    std::shared_ptr<const State> inbox;
    const std::vector<Event> events;
    const Timestamp now;
    Consumed out;
};

Inbox::Inbox(std::string consumer, Database& database, const Clock& clock)
    : state_(std::make_shared<State>()), database_(database), clock_(clock) {
    state_->consumer = std::move(consumer);
}

Result<void> Inbox::subscribe(Subscription subscription) {
    std::string type = subscription.type;
    auto added = state_->handlers.try_emplace(type, std::move(subscription));
    if (!added.second)
        return invalid("duplicate_subscription", state_->consumer + " subscribes twice to " + type);
    return Result<void>();
}

bool Inbox::subscribes(std::string_view type) const {
    return state_->handlers.contains(type);
}

const std::string& Inbox::consumer() const {
    return state_->consumer;
}

Task<Consumed> Inbox::consume(std::vector<Event> events) {
    auto batch = std::make_shared<Batch>(state_, std::move(events), clock_.now());
    TransactionBody body = [batch](Transaction& tx) { return apply(tx, batch); };
    Deadline deadline(clock_, transaction_time);
    Result<void> committed = co_await database_.transact(std::move(body), deadline);
    Consumed out = batch->out;
    if (committed) co_return out;
    out.applied = 0;
    out.error = committed.error();
    if (out.blame != Blame::none) co_return out;
    // Not in a handler: the queue, the COMMIT or the connection.
    bool away = out.error.kind == ErrorKind::unavailable;
    out.blame = away ? Blame::database : Blame::batch;
    co_return out;
}

Task<Result<void>> Inbox::apply(Transaction& tx, std::shared_ptr<Batch> batch) {
    batch->out = Consumed();  // a body may run again
    Watched watched(tx);
    Result<void> handled = co_await handle(watched, batch);
    if (handled) co_return handled;
    if (watched.failed()) {
        bool away = handled.error().kind != ErrorKind::timeout;
        batch->out.blame = away ? Blame::database : Blame::batch;
    }
    co_return handled;
}

Task<Result<void>> Inbox::handle(Transaction& tx, std::shared_ptr<Batch> batch) {
    const std::span<const Event> events = batch->events;
    auto inserted = co_await insert_all(tx, batch->inbox->consumer, events, batch->now);
    if (!inserted) co_return inserted.error();
    Ids fresh = std::move(*inserted);

    for (std::size_t i = 0; i < events.size();) {
        const std::string& type = events[i].type;
        auto subscription = batch->inbox->handlers.find(type);
        const bool heard = subscription != batch->inbox->handlers.end();
        // What has taken effect before, or just now, is not fresh.
        if (fresh.erase(events[i].id) == 0 || !heard) {
            ++i;
            continue;
        }
        std::size_t count = 1;
        if (subscription->second.batch_handler)
            while (i + count < events.size() && events[i + count].type == type &&
                   fresh.erase(events[i + count].id) > 0)
                ++count;
        Result<void> handled = co_await call(subscription->second, tx, events.subspan(i, count));
        if (!handled) {
            batch->out.blame = count == 1 ? Blame::event : Blame::batch;
            batch->out.at = i;
            co_return handled;
        }
        batch->out.applied += count;
        i += count;
    }
    co_return Result<void>();
}

Task<Result<std::string>> Inbox::prune(Timestamp before, std::string after, std::int64_t limit) {
    std::string consumer = state_->consumer;
    Deadline deadline(clock_, transaction_time);
    Params page = bind(consumer, after, limit);
    Result<Rows> rows = co_await database_.query(read_rows, std::move(page), deadline);
    if (!rows) co_return rows.error();
    std::string last;
    for (std::size_t i = 0; i < rows->size(); ++i)
        if ((*rows)[i].time(1) < before) last = (*rows)[i].string(0);
    if (last.empty()) co_return last;

    TransactionBody body = [consumer, after, last, before](Transaction& tx) {
        return delete_page(tx, bind(consumer, after, last, before));
    };
    Result<void> deleted = co_await database_.transact(std::move(body), deadline);
    if (!deleted) co_return deleted.error();
    co_return last;
}

}  // namespace souk::events
