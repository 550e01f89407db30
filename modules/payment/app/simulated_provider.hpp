// A payment provider for development and tests that keeps its own books as a real one does: one
// JSON line per charge, decline and refund in a file of its own, synced before it answers. It
// judges our code honestly: a repeated attempt id is answered from the books, another id is charged
// again.
//
// The token says what happens:
//   tok_approve              captured
//   tok_decline              declined, "card_declined"
//   tok_timeout              no answer and no charge on the first two sends, then captured
//   tok_charge_then_timeout  charged and booked, but no answer; the repeat answers captured
//   anything else            declined, "invalid_token"
// "No answer" lasts until the caller's deadline. The sends of tok_timeout are counted in memory: a
// restart begins anew.
#pragma once

#include "app/append_log.hpp"
#include "app/provider.hpp"
#include "souk/blocking.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

namespace souk::payment::app {

class SimulatedProvider final : public Provider,
                                public std::enable_shared_from_this<SimulatedProvider> {
public:
    SimulatedProvider(
        Executor executor, BlockingPool& pool, Clock& clock, const std::filesystem::path& file
    );

    Task<Result<void>> open() override;
    Task<Result<Answer>> charge(ChargeRequest request, Deadline deadline) override;
    Task<Result<Answer>> refund(RefundRequest request, Deadline deadline) override;
    Task<Result<std::vector<Book>>> books(std::string after_order_id, std::size_t limit) override;

private:
    enum class Kind : std::uint8_t { captured, declined, refunded };
    struct Record {
        Record(Kind kind, std::string order_id, Money total, std::string reason)
            : kind(kind), order_id(std::move(order_id)), total(total), reason(std::move(reason)) {}
        Kind kind;
        std::string order_id;
        Money total;
        std::string reason;
    };

    Result<void> load(std::string_view text);
    void index(const std::string& attempt_id, Record record);
    std::optional<Record> find(const std::string& attempt_id) const;
    std::int64_t left_to_refund(const std::string& charge_id) const;
    Task<Result<void>> book(std::string attempt_id, Record record, std::string charge_id);
    Task<Result<Answer>> no_answer(Deadline deadline);

    Clock& clock_;
    AppendLog log_;
    std::set<std::string> in_hand_;                    // being booked; on the executor
    std::unordered_map<std::string, int> unanswered_;  // sends of tok_timeout; on the executor
    mutable std::mutex mutex_;                         // what follows is read from any thread
    std::unordered_map<std::string, Record> records_;  // by attempt id
    std::unordered_map<std::string, std::int64_t> refunded_;  // by the charge's attempt id
    std::map<std::string, Book> books_;                       // by order id
};

}  // namespace souk::payment::app
