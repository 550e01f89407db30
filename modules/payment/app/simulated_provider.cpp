#include "app/simulated_provider.hpp"

#include "souk/json.hpp"

#include <boost/asio/this_coro.hpp>

#include <map>
#include <mutex>

namespace souk::payment::app {

namespace {

constexpr int timeouts_of_tok_timeout = 2;

constexpr std::string_view name_of_kind[] = {"capture", "decline", "refund"};

enum class Kind : std::uint8_t { captured, declined, refunded };

struct Line {
    std::string op;
    std::string attempt;
    std::string charge;
    std::string order;
    std::int64_t amount = 0;
    std::string currency;
    std::string reason;
};

Result<Line> read_line(std::string_view text) {
    Line line;
    json::Decoder decoder = [&](json::ObjectReader& in) {
        line.op = in.one_of("op", {name_of_kind[0], name_of_kind[1], name_of_kind[2]});
        line.attempt = in.text("attempt");
        line.charge = in.optional_text("charge").value_or("");
        line.order = in.text("order");
        line.amount = in.integer("amount");
        line.currency = in.text("currency");
        line.reason = in.optional_text("reason").value_or("");
    };
    auto decoded = json::decode(text, json::Unknown::ignore, decoder);
    if (!decoded) return decoded.error();
    return line;
}

}  // namespace

struct SimulatedProvider::Record {
    Record(Kind kind, std::string order_id, Money total, std::string reason)
        : kind(kind), order_id(std::move(order_id)), total(total), reason(std::move(reason)) {}
    Answer answer() const { return kind == Kind::declined ? Answer::no(reason) : Answer::yes(); }
    Kind kind;
    std::string order_id;
    Money total;
    std::string reason;
};

/// Filled on the pool, asked from any thread.
struct SimulatedProvider::Books {
    Result<void> read(std::string_view text);
    std::optional<Record> find(const std::string& attempt_id) const;
    std::int64_t left_to_refund(const std::string& charge_id) const;
    /// Not booked yet, and, a refund, no more than the charge has left.
    bool wants(const std::string& attempt_id, const std::string& charge_id, Money total) const;
    std::vector<Book> page(const std::string& after_order_id, std::size_t limit) const;

    mutable std::mutex mutex;
    std::unordered_map<std::string, Record> records;         // by attempt id
    std::unordered_map<std::string, std::int64_t> refunded;  // by the charge's attempt id
    std::map<std::string, Book> orders;
};

Result<void> SimulatedProvider::Books::read(std::string_view text) {
    auto line = read_line(text);
    if (!line) return line.error();
    auto currency = Currency::parse(line->currency);
    if (!currency) return currency.error();
    auto kind = line->op == "capture"   ? Kind::captured
                : line->op == "decline" ? Kind::declined
                                        : Kind::refunded;
    std::lock_guard lock(mutex);
    if (kind == Kind::refunded) refunded[line->charge] += line->amount;
    Money total(line->amount, *currency);
    records.insert_or_assign(line->attempt, Record(kind, line->order, total, line->reason));
    if (kind == Kind::declined) return Result<void>();
    auto& book = orders[line->order];
    auto captured = kind == Kind::captured;
    book.order_id = line->order;
    book.currency = line->currency;
    (captured ? book.captures : book.refunds) += 1;
    book.amount += captured ? line->amount : -line->amount;
    return Result<void>();
}

std::optional<SimulatedProvider::Record> SimulatedProvider::Books::find(
    const std::string& attempt_id
) const {
    std::lock_guard lock(mutex);
    auto it = records.find(attempt_id);
    return it == records.end() ? std::nullopt : std::optional<Record>(it->second);
}

std::int64_t SimulatedProvider::Books::left_to_refund(const std::string& charge_id) const {
    std::lock_guard lock(mutex);
    auto charge = records.find(charge_id);
    if (charge == records.end() || charge->second.kind != Kind::captured) return 0;
    auto given_back = refunded.find(charge_id);
    return charge->second.total.amount - (given_back == refunded.end() ? 0 : given_back->second);
}

bool SimulatedProvider::Books::wants(
    const std::string& attempt_id, const std::string& charge_id, Money total
) const {
    if (find(attempt_id)) return false;
    return charge_id.empty() || left_to_refund(charge_id) >= total.amount;
}

std::vector<Book> SimulatedProvider::Books::page(
    const std::string& after_order_id, std::size_t limit
) const {
    std::lock_guard lock(mutex);
    std::vector<Book> found;
    auto it = orders.upper_bound(after_order_id);
    for (; it != orders.end() && found.size() < limit; ++it)
        found.push_back(it->second);
    return found;
}

SimulatedProvider::SimulatedProvider(
    Executor executor, BlockingPool& pool, Clock& clock, const std::filesystem::path& file
)
    : clock_(clock)
    , books_(std::make_shared<Books>())
    , log_(executor, pool, file, [books = books_](std::string_view line) {
        return books->read(line);
    }) {}

Task<Result<void>> SimulatedProvider::open() {
    return log_.catch_up();
}

Task<Result<std::optional<SimulatedProvider::Record>>> SimulatedProvider::book(
    std::string attempt_id, Record record, std::string charge_id
) {
    // One refund of a charge at a time: the next one must see what this one left.
    const std::string hand = charge_id.empty() ? attempt_id : "refund of " + charge_id;
    if (!in_hand_.insert(hand).second)
        co_return unavailable("in_progress", "the same attempt is under way");
    json::object line;
    line["at"] = to_rfc3339(clock_.now());
    line["op"] = name_of_kind[static_cast<int>(record.kind)];
    line["attempt"] = attempt_id;
    if (!charge_id.empty()) line["charge"] = charge_id;
    line["order"] = record.order_id;
    line["amount"] = record.total.amount;
    line["currency"] = record.total.currency.code();
    if (!record.reason.empty()) line["reason"] = record.reason;
    AppendLog::Wanted wanted = [books = books_, attempt_id, charge_id, total = record.total] {
        return books->wants(attempt_id, charge_id, total);
    };
    std::function<void()> settled = [self = shared_from_this(), hand] {
        self->in_hand_.erase(hand);
    };
    auto done = co_await log_.append(json::serialize(line), std::move(wanted), std::move(settled));
    if (!done) co_return done.error();
    co_return books_->find(attempt_id);
}

Task<Result<Answer>> SimulatedProvider::no_answer(Deadline deadline) {
    // A cancellation that came while the answer was booked would otherwise not end this sleep.
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none)
        co_await clock_.sleep(deadline.remaining(clock_));
    co_return Error(ErrorKind::timeout, "provider_timeout", "the provider did not answer");
}

Task<Result<Answer>> SimulatedProvider::charge(ChargeRequest request, Deadline deadline) {
    if (auto known = books_->find(request.attempt_id)) co_return known->answer();
    auto silent = request.token == "tok_charge_then_timeout";
    if (request.token == "tok_timeout") {
        if (++unanswered_[request.attempt_id] <= timeouts_of_tok_timeout)
            co_return co_await no_answer(deadline);
        unanswered_.erase(request.attempt_id);
    }
    auto kind = Kind::captured;
    std::string reason;
    if (request.token == "tok_decline")
        reason = "card_declined";
    else if (request.token != "tok_approve" && request.token != "tok_timeout" && !silent)
        reason = "invalid_token";
    if (!reason.empty()) kind = Kind::declined;
    Record record(kind, request.order_id, request.total, reason);
    auto booked = co_await book(request.attempt_id, std::move(record), std::string());
    if (!booked) co_return booked.error();
    if (silent) co_return co_await no_answer(deadline);
    co_return (*booked)->answer();  // perhaps another replica's, of the same attempt
}

Task<Result<Answer>> SimulatedProvider::refund(RefundRequest request, Deadline) {
    auto charge = books_->find(request.charge_id);
    if (!charge) {  // of another replica?
        auto read = co_await log_.catch_up();
        if (!read) co_return read.error();
        charge = books_->find(request.charge_id);
    }
    if (!charge) co_return Answer::no("nothing_to_refund");
    Record record(Kind::refunded, charge->order_id, request.total, {});
    auto booked = co_await book(request.attempt_id, std::move(record), request.charge_id);
    if (!booked) co_return booked.error();
    if (!booked->has_value()) co_return Answer::no("nothing_to_refund");
    co_return (*booked)->answer();
}

Task<Result<std::vector<Book>>> SimulatedProvider::books(
    std::string after_order_id, std::size_t limit
) {
    auto read = co_await log_.catch_up();
    if (!read) co_return read.error();
    co_return books_->page(after_order_id, limit);
}

}  // namespace souk::payment::app
