// A payment provider for development and tests that keeps its own books as a real one does: one
// JSON line per charge, decline and refund in a file of its own, synced before it answers. It
// judges our code honestly: a repeated attempt id is answered from the books, another id is charged
// again. Replicas that share the file are one provider: each decides under the file's lock, when it
// has read what the others wrote.
//
// The token says what happens:
//   tok_approve              captured
//   tok_decline              declined, "card_declined"
//   tok_timeout              no answer and no charge on the first two sends, then captured
//   tok_charge_then_timeout  charged and booked, but no answer; the repeat answers captured
//   anything else            declined, "invalid_token"
// "No answer" lasts until the caller's deadline. The sends of tok_timeout are counted in memory: a
// restart begins anew, and each replica counts its own.
#pragma once

#include "app/append_log.hpp"
#include "app/provider.hpp"
#include "souk/blocking.hpp"
#include "souk/json.hpp"

#include <atomic>
#include <memory>
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

    std::string fault() const override { return log_.fault(); }

private:
    struct Books;   // what charges have to know of the file
    struct Charge;  // one line of it
    struct Audit;   // all of it

    /// Writes the line, one at a time of those in the same `hand`. What the books say of the
    /// attempt in the end; nothing when it was not wanted.
    Task<Result<std::optional<Answer>>> book(
        std::string attempt_id, std::string hand, json::object line, AppendLog::Wanted wanted
    );
    Task<Result<std::optional<Charge>>> find_charge(std::string attempt_id);
    Task<Result<Answer>> no_answer(Deadline deadline);
    void forget_old_audit();

    Clock& clock_;
    std::shared_ptr<Books> books_;
    std::atomic<std::shared_ptr<const Audit>> audit_;  // while somebody turns its pages
    std::atomic<SteadyTime> audit_asked_;
    AppendLog log_;
    std::set<std::string> in_hand_;                    // being booked; on the executor
    std::unordered_map<std::string, int> unanswered_;  // sends of tok_timeout; on the executor
};

}  // namespace souk::payment::app
