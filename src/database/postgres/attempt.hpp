// One run of a transaction's body on one session. BEGIN travels with the first statement. The
// body's coroutine moves only under the lock of its call, so that it never runs, nor stands, beside
// a caller whose frame is gone.
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
    /// From time to time: ends it when it is late, or left.
    void check();

    /// A transaction is open on the session.
    bool begun() const { return begun_; }
    /// The body's; also the error that it swallowed.
    const Result<void>& result() const { return result_; }
    const std::exception_ptr& failure() const { return failure_; }
    /// Why it must run again; for `again` and `lost`.
    const Error& cause() const { return *failed_; }
    std::vector<std::function<void()>> take_hooks() { return std::move(after_commit_); }

    Task<Result<Rows>> execute(const Statement& statement, Params params) override;
    Task<Result<std::vector<Rows>>> execute_all(
        const Statement& statement, std::vector<Params> params
    ) override;

private:
    bool submit(const Statement& statement, const Params* params, std::size_t count);
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
    std::size_t missing_ = 0;  // answers
    Result<void> result_;
    std::exception_ptr failure_;
};

}  // namespace souk::database::postgres
