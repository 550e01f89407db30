#include "app/simulated_provider.hpp"

#include "souk/json.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

namespace souk::payment::app {

namespace {

constexpr int timeouts_of_tok_timeout = 2;

constexpr std::string_view name_of_kind[] = {"capture", "decline", "refund"};

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

SimulatedProvider::SimulatedProvider(
    Executor executor, BlockingPool& pool, Clock& clock, const std::filesystem::path& file
)
    : clock_(clock), log_(executor, pool, file) {}

Task<Result<void>> SimulatedProvider::open() {
    auto text = co_await log_.open();
    if (!text) co_return text.error();
    co_return load(*text);
}

Result<void> SimulatedProvider::load(std::string_view text) {
    std::lock_guard lock(mutex_);
    for (std::int64_t number = 1; !text.empty(); ++number) {
        auto end = text.find('\n');
        auto line = read_line(text.substr(0, end));
        auto currency = Currency::parse(line ? line->currency : std::string());
        if (!line || !currency)
            return unavailable(
                "provider_books", fmt::format("line {} of the provider's file is damaged", number)
            );
        auto kind = line->op == "capture"   ? Kind::captured
                    : line->op == "decline" ? Kind::declined
                                            : Kind::refunded;
        if (kind == Kind::refunded) refunded_[line->charge] += line->amount;
        Money total(line->amount, *currency);
        index(line->attempt, Record(kind, line->order, total, line->reason));
        text.remove_prefix(end + 1);
    }
    return Result<void>();
}

void SimulatedProvider::index(const std::string& attempt_id, Record record) {
    if (record.kind != Kind::declined) {
        auto& book = books_[record.order_id];
        auto captured = record.kind == Kind::captured;
        book.order_id = record.order_id;
        book.currency = std::string(record.total.currency.code());
        (captured ? book.captures : book.refunds) += 1;
        book.amount += captured ? record.total.amount : -record.total.amount;
    }
    records_.insert_or_assign(attempt_id, std::move(record));
}

std::optional<SimulatedProvider::Record> SimulatedProvider::find(const std::string& attempt_id
) const {
    std::lock_guard lock(mutex_);
    auto it = records_.find(attempt_id);
    return it == records_.end() ? std::nullopt : std::optional<Record>(it->second);
}

std::int64_t SimulatedProvider::left_to_refund(const std::string& charge_id) const {
    std::lock_guard lock(mutex_);
    auto charge = records_.find(charge_id);
    if (charge == records_.end() || charge->second.kind != Kind::captured) return 0;
    auto given_back = refunded_.find(charge_id);
    return charge->second.total.amount - (given_back == refunded_.end() ? 0 : given_back->second);
}

Task<Result<void>> SimulatedProvider::book(
    std::string attempt_id, Record record, std::string charge_id
) {
    if (!in_hand_.insert(attempt_id).second)
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
    std::function<void(bool)> settled =
        [this, self = shared_from_this(), attempt_id, record, charge_id](bool durable) {
            in_hand_.erase(attempt_id);
            if (!durable) return;
            std::lock_guard lock(mutex_);
            if (record.kind == Kind::refunded) refunded_[charge_id] += record.total.amount;
            index(attempt_id, record);
        };
    co_return co_await log_.append(json::serialize(line), std::move(settled));
}

Task<Result<Answer>> SimulatedProvider::no_answer(Deadline deadline) {
    // A cancellation that came while the answer was booked would otherwise not end this sleep.
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none)
        co_await clock_.sleep(deadline.remaining(clock_));
    co_return Error(ErrorKind::timeout, "provider_timeout", "the provider did not answer");
}

Task<Result<Answer>> SimulatedProvider::charge(ChargeRequest request, Deadline deadline) {
    if (auto known = find(request.attempt_id)) {
        if (known->kind == Kind::captured) co_return Answer::yes();
        co_return Answer::no(known->reason);
    }
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
    if (kind == Kind::declined) co_return Answer::no(reason);
    co_return Answer::yes();
}

Task<Result<Answer>> SimulatedProvider::refund(RefundRequest request, Deadline) {
    if (find(request.attempt_id)) co_return Answer::yes();
    auto charge = find(request.charge_id);
    if (!charge || left_to_refund(request.charge_id) < request.total.amount)
        co_return Answer::no("nothing_to_refund");
    Record record(Kind::refunded, charge->order_id, request.total, {});
    auto booked = co_await book(request.attempt_id, std::move(record), request.charge_id);
    if (!booked) co_return booked.error();
    co_return Answer::yes();
}

Task<Result<std::vector<Book>>> SimulatedProvider::books(
    std::string after_order_id, std::size_t limit
) {
    std::lock_guard lock(mutex_);
    std::vector<Book> page;
    for (auto it = books_.upper_bound(after_order_id); it != books_.end() && page.size() < limit;
         ++it)
        page.push_back(it->second);
    co_return page;
}

}  // namespace souk::payment::app
