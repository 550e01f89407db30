#include "app/simulated_provider.hpp"

#include "souk/json.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>

namespace souk::payment::app {

namespace {

constexpr int timeouts_of_tok_timeout = 2;
constexpr std::uint64_t most_reasons = 256;
constexpr std::size_t all_lines = std::numeric_limits<std::size_t>::max();
// An auditor who turns no page for so long has gone.
constexpr seconds audit_time{60};

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
    auto currency = Currency::parse(line.currency);
    if (!currency) return currency.error();
    return line;
}

json::object line_of(
    Kind kind,
    Timestamp at,
    const std::string& attempt_id,
    const std::string& order_id,
    const Money& total
) {
    json::object line;
    line["at"] = to_rfc3339(at);
    line["op"] = name_of_kind[static_cast<int>(kind)];
    line["attempt"] = attempt_id;
    line["order"] = order_id;
    line["amount"] = total.amount;
    line["currency"] = total.currency.code();
    return line;
}

Kind kind_of(const Line& line) {
    if (line.op == name_of_kind[0]) return Kind::captured;
    return line.op == name_of_kind[1] ? Kind::declined : Kind::refunded;
}

}  // namespace

namespace {

/// An attempt's id in 16 bytes. Our ids carry 74 random bits: that two share both hashes is as
/// likely as that two are the same.
struct Key {
    explicit Key(std::string_view id) : first(std::hash<std::string_view>()(id)) {
        for (const char c : id)  // FNV-1a
            second = (second ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    bool operator==(const Key&) const = default;
    std::uint64_t first;
    std::uint64_t second = 0xcbf29ce484222325;
};

struct KeyHash {
    using is_avalanching = void;
    std::size_t operator()(const Key& key) const { return key.first; }
};

}  // namespace

struct SimulatedProvider::Charge {
    Charge(std::string order_id, Money total) : order_id(std::move(order_id)), total(total) {}
    std::string order_id;
    Money total;
};

/// What the file says, as far as charges have to know it: some 40 bytes an attempt, since a shop
/// may have booked millions. The rest is read from the file when somebody asks for it. Filled on
/// the pool, asked from any thread.
struct SimulatedProvider::Books {
    Result<void> read(std::string_view text, std::int64_t at);
    std::optional<Answer> answer(const std::string& attempt_id) const;
    /// Where a charge that was captured stands in the file.
    std::optional<std::int64_t> captured_at(const std::string& attempt_id) const;
    /// Not booked yet, and, a refund, no more than the charge has left.
    bool wants(const std::string& attempt_id) const;
    bool wants_refund(
        const std::string& attempt_id,
        const std::string& charge_id,
        std::int64_t charged,
        std::int64_t amount
    ) const;

private:
    struct Fact {
        std::int64_t at : 48;
        std::uint64_t kind : 8;
        std::uint64_t reason : 8;
    };
    static_assert(sizeof(Fact) == 8);
    std::uint64_t number_of(const std::string& reason);

    mutable std::mutex mutex_;
    boost::unordered_flat_map<Key, Fact, KeyHash> facts_;             // by attempt
    boost::unordered_flat_map<Key, std::int64_t, KeyHash> refunded_;  // by the charge's attempt
    std::vector<std::string> reasons_;
};

/// The sums of all orders, for as long as an auditor turns their pages.
struct SimulatedProvider::Audit {
    Result<void> read(std::string_view text, std::int64_t);
    std::vector<Book> page(const std::string& after_order_id, std::size_t limit) const;
    std::map<std::string, Book> orders;
};

Result<void> SimulatedProvider::Books::read(std::string_view text, std::int64_t at) {
    auto line = read_line(text);
    if (!line) return line.error();
    const auto kind = kind_of(*line);
    std::lock_guard lock(mutex_);
    if (kind == Kind::refunded) refunded_[Key(line->charge)] += line->amount;
    const auto reason = number_of(line->reason);
    if (reason >= most_reasons) return invalid("bad_reason", "too many different reasons");
    Fact fact{at, static_cast<std::uint8_t>(kind), reason};
    facts_.insert_or_assign(Key(line->attempt), fact);
    return Result<void>();
}

/// The provider has few, and each is written in many lines.
std::uint64_t SimulatedProvider::Books::number_of(const std::string& reason) {
    const auto known = std::find(reasons_.begin(), reasons_.end(), reason);
    const auto number = static_cast<std::uint64_t>(known - reasons_.begin());
    if (known == reasons_.end() && number < most_reasons) reasons_.push_back(reason);
    return number;
}

std::optional<Answer> SimulatedProvider::Books::answer(const std::string& attempt_id) const {
    std::lock_guard lock(mutex_);
    const auto fact = facts_.find(Key(attempt_id));
    if (fact == facts_.end()) return std::nullopt;
    const bool declined = fact->second.kind == static_cast<std::uint8_t>(Kind::declined);
    return declined ? Answer::no(reasons_[fact->second.reason]) : Answer::yes();
}

std::optional<std::int64_t> SimulatedProvider::Books::captured_at(const std::string& attempt_id
) const {
    std::lock_guard lock(mutex_);
    const auto fact = facts_.find(Key(attempt_id));
    const bool captured =
        fact != facts_.end() && fact->second.kind == static_cast<std::uint8_t>(Kind::captured);
    return captured ? std::optional<std::int64_t>(fact->second.at) : std::nullopt;
}

bool SimulatedProvider::Books::wants(const std::string& attempt_id) const {
    std::lock_guard lock(mutex_);
    return !facts_.contains(Key(attempt_id));
}

bool SimulatedProvider::Books::wants_refund(
    const std::string& attempt_id,
    const std::string& charge_id,
    std::int64_t charged,
    std::int64_t amount
) const {
    std::lock_guard lock(mutex_);
    if (facts_.contains(Key(attempt_id))) return false;
    const auto given_back = refunded_.find(Key(charge_id));
    return charged - (given_back == refunded_.end() ? 0 : given_back->second) >= amount;
}

Result<void> SimulatedProvider::Audit::read(std::string_view text, std::int64_t) {
    auto line = read_line(text);
    if (!line) return line.error();
    const auto kind = kind_of(*line);
    if (kind == Kind::declined) return Result<void>();
    auto& book = orders[line->order];
    const bool captured = kind == Kind::captured;
    book.order_id = line->order;
    book.currency = line->currency;
    (captured ? book.captures : book.refunds) += 1;
    book.amount += captured ? line->amount : -line->amount;
    return Result<void>();
}

std::vector<Book> SimulatedProvider::Audit::page(
    const std::string& after_order_id, std::size_t limit
) const {
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
    , log_(executor, pool, file, [books = books_](std::string_view line, std::int64_t at) {
        return books->read(line, at);
    }) {}

Task<Result<void>> SimulatedProvider::open() {
    return log_.catch_up();
}

Task<Result<std::optional<Answer>>> SimulatedProvider::book(
    std::string attempt_id, std::string hand, json::object line, AppendLog::Wanted wanted
) {
    if (!in_hand_.insert(hand).second)
        co_return unavailable("in_progress", "the same attempt is under way");
    std::function<void()> settled = [self = shared_from_this(), hand] {
        self->in_hand_.erase(hand);
    };
    auto done = co_await log_.append(json::serialize(line), std::move(wanted), std::move(settled));
    if (!done) co_return done.error();
    co_return books_->answer(attempt_id);
}

Task<Result<Answer>> SimulatedProvider::no_answer(Deadline deadline) {
    // A cancellation that came while the answer was booked would otherwise not end this sleep.
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none)
        co_await clock_.sleep(deadline.remaining(clock_));
    co_return Error(ErrorKind::timeout, "provider_timeout", "the provider did not answer");
}

Task<Result<Answer>> SimulatedProvider::charge(ChargeRequest request, Deadline deadline) {
    forget_old_audit();
    if (auto known = books_->answer(request.attempt_id)) co_return *known;
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
    json::object line =
        line_of(kind, clock_.now(), request.attempt_id, request.order_id, request.total);
    if (!reason.empty()) line["reason"] = reason;
    const std::string attempt_id = request.attempt_id;
    AppendLog::Wanted wanted = [books = books_, attempt_id] { return books->wants(attempt_id); };
    auto booked = co_await book(attempt_id, attempt_id, std::move(line), std::move(wanted));
    if (!booked) co_return booked.error();
    if (silent) co_return co_await no_answer(deadline);
    co_return std::move(**booked);  // perhaps another replica's, of the same attempt
}

Task<Result<std::optional<SimulatedProvider::Charge>>> SimulatedProvider::find_charge(
    std::string attempt_id
) {
    auto at = books_->captured_at(attempt_id);
    if (!at) {  // of another replica?
        auto read = co_await log_.catch_up();
        if (!read) co_return read.error();
        at = books_->captured_at(attempt_id);
    }
    if (!at) co_return std::optional<Charge>();
    auto found = std::make_shared<std::optional<Charge>>();
    AppendLog::Reader reader = [found](std::string_view text, std::int64_t) -> Result<void> {
        auto line = read_line(text);
        if (!line) return line.error();
        auto currency = Currency::parse(line->currency);
        if (!currency) return currency.error();
        found->emplace(line->order, Money(line->amount, *currency));
        return Result<void>();
    };
    auto read = co_await log_.read_again(*at, 1, std::move(reader));
    if (!read) co_return read.error();
    co_return std::move(*found);
}

Task<Result<Answer>> SimulatedProvider::refund(RefundRequest request, Deadline) {
    if (auto known = books_->answer(request.attempt_id)) co_return *known;
    auto charge = co_await find_charge(request.charge_id);
    if (!charge) co_return charge.error();
    if (!*charge) co_return Answer::no("nothing_to_refund");
    const std::string attempt_id = request.attempt_id;
    const std::string charge_id = request.charge_id;
    json::object line =
        line_of(Kind::refunded, clock_.now(), attempt_id, (*charge)->order_id, request.total);
    line["charge"] = charge_id;
    const auto charged = (*charge)->total.amount;
    const auto amount = request.total.amount;
    AppendLog::Wanted wanted = [books = books_, attempt_id, charge_id, charged, amount] {
        return books->wants_refund(attempt_id, charge_id, charged, amount);
    };
    // One refund of a charge at a time: the next one must see what this one left.
    const std::string hand = "refund of " + charge_id;
    auto booked = co_await book(attempt_id, hand, std::move(line), std::move(wanted));
    if (!booked) co_return booked.error();
    if (!booked->has_value()) co_return Answer::no("nothing_to_refund");
    co_return std::move(**booked);
}

Task<Result<std::vector<Book>>> SimulatedProvider::books(
    std::string after_order_id, std::size_t limit
) {
    // Its first page begins an audit anew: what was booked before it is in it.
    std::shared_ptr<const Audit> audit;
    if (!after_order_id.empty()) audit = audit_.load();
    if (!audit) {
        auto read = co_await log_.catch_up();
        if (!read) co_return read.error();
        auto fresh = std::make_shared<Audit>();
        AppendLog::Reader reader = [fresh](std::string_view line, std::int64_t at) {
            return fresh->read(line, at);
        };
        read = co_await log_.read_again(0, all_lines, std::move(reader));
        if (!read) co_return read.error();
        audit = std::move(fresh);
    }
    std::vector<Book> found = audit->page(after_order_id, limit);
    audit_asked_ = clock_.steady();
    if (found.size() < limit) audit.reset();
    audit_.store(std::move(audit));
    co_return found;
}

void SimulatedProvider::forget_old_audit() {
    if (clock_.steady() - audit_asked_.load() > audit_time) audit_.store({});
}

}  // namespace souk::payment::app
