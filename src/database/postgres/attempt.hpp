// One run of a transaction's body on one session. BEGIN travels with the first statement, and
// COMMIT with the last one when the body says which it is; when all goes out at once, there is
// neither: what stands before a Sync is a transaction. The body's coroutine moves only under the
// lock of its call, so that it never runs, nor stands, beside a caller whose frame is gone.
#pragma once

#include "database/postgres/calls.hpp"
#include "database/postgres/session.hpp"

namespace souk::database::postgres {

class Attempt final : public Transaction, public std::enable_shared_from_this<Attempt> {
public:
    enum class End : std::uint8_t {
        done,   // see result and failure
        again,  // the server says: another run may succeed
        lost,   // the connection broke before COMMIT was sent
        late,   // the deadline passed
        left,   // nobody waits for it
    };
    enum class Commit : std::uint8_t {
        none,       // was not sent
        under_way,  // its answer is to come
        done,
        refused,  // nothing was committed: an error of a statement that went with it, or its own
        unknown,  // the connection broke meanwhile
    };

    Attempt(
        Executor home,
        Clock& clock,
        std::shared_ptr<Session> session,
        std::shared_ptr<TransactCall> call
    );
    ~Attempt() override;

    /// Runs the body up to its first wait.
    void start();
    /// Returns when the body has ended, or cannot go on. Destroys what is left of it.
    Task<End> wait();
    /// From time to time: ends it when it is late, or left. False when its COMMIT takes too long.
    bool check();

    /// Something was sent that a ROLLBACK must undo.
    bool begun() const { return begun_; }
    /// The body's; also the error that it swallowed.
    const Result<void>& result() const { return result_; }
    const std::exception_ptr& failure() const { return failure_; }
    /// Why it must run again; for `again` and `lost`, and when its commit was refused.
    const Error& cause() const { return *failed_; }
    bool worth_a_rerun() const { return again_; }

    Commit commit() const { return commit_; }
    bool has_work() const { return begun_ || !later_.empty(); }
    /// Sends what is to be written before the COMMIT, and the COMMIT; returns when it is decided.
    Task<void> finish();
    /// Instead: as if the connection broke there.
    void break_off(std::string why);
    std::vector<std::function<void()>> take_hooks() { return std::move(after_commit_); }

    Task<Result<Rows>> execute(const Statement& statement, Params params) override;
    Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) override;
    Task<Result<Rows>> execute_set(const Statement& statement, std::vector<Params> rows) override;
    Task<Result<void>> execute_later(const Statement& statement, Params row) override;
    Task<Result<Rows>> execute_last(const Statement& statement, Params params) override;
    Dialect dialect() const override { return Dialect::postgres; }

private:
    struct Later {
        explicit Later(const Statement& statement) : statement(statement) {}
        Statement statement;
        std::vector<Params> rows;
    };

    bool ready();
    bool send(const Statement& statement, const Params& params, Session::OnAnswer done);
    bool send_later();
    bool send_last(const Statement& statement, const Params& params);
    void send_commit();
    void not_sent();
    void note(std::string_view statement, Answer answer);
    void take_commit(const Answer& sync);
    bool submit(const Statement& statement, const Params* params, std::size_t count);
    void set_timeout();
    void begin();
    void take(std::size_t index, std::string_view statement, Answer answer);
    void step(const std::function<void(BodyRun&)>& work);
    bool settle(BodyRun& run);
    void end(End how);
    void discard_body();

    Executor home_;
    Clock& clock_;
    std::shared_ptr<Session> session_;
    std::shared_ptr<TransactCall> call_;
    std::shared_ptr<base::Signal> ended_;
    End how_ = End::done;
    bool over_ = false;
    bool begun_ = false;
    std::optional<Error> failed_;  // the first error: after it only a rollback is possible
    bool again_ = false;
    std::vector<Rows> rows_;
    std::size_t missing_ = 0;   // answers
    std::vector<Later> later_;  // in the order of their first rows
    Commit commit_ = Commit::none;
    SteadyTime commit_until_{};
    std::string commit_tag_;     // what the server says to COMMIT
    bool last_waiting_ = false;  // the body waits for the statement that went with the COMMIT
    std::shared_ptr<base::Signal> decided_;
    Result<void> result_;
    std::exception_ptr failure_;
};

}  // namespace souk::database::postgres
