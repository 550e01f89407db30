// One connection to the server, in pipeline mode: statements go out without waiting for the answers
// of those before, answers come back in order. On the thread of `home` only, except where told.
#pragma once

#include "base/signal.hpp"
#include "database/postgres/errors.hpp"
#include "database/postgres/plans.hpp"
#include "database/postgres/target.hpp"

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>

struct pg_conn;

namespace souk::database::postgres {

struct Answer {
    enum class Outcome : std::uint8_t {
        ok,
        failed,   // see `complaint`
        aborted,  // not run, since one before it in the same pipeline failed, or its plan is stale
        lost,     // the connection broke: it may have run, or not
    };
    Outcome outcome = Outcome::lost;
    Result<Rows> rows{Rows()};
    Complaint complaint;
    std::string tag = {};  // "COMMIT", "SELECT 1"
    bool sent = true;      // false: the server never saw it
};

class Session : public std::enable_shared_from_this<Session> {
public:
    using OnAnswer = std::function<void(Answer)>;

    Session(Executor home, Clock& clock);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Connects and runs the script `setup`. Errors: `unavailable` "database_open".
    Task<Result<void>> open(Target target, std::string setup, milliseconds timeout);
    bool usable() const { return open_ && !closed_; }
    int server_version() const;
    /// Nothing came from the server within the time that open() had.
    bool timed_out() const { return timed_out_; }

    /// Puts a statement into the pipeline. `done` is called once, later, unless an error is
    /// returned: `internal` "sql_parameters", `invalid` "invalid_text", `unavailable` when the
    /// connection is lost.
    Result<void> send(const Statement& statement, const Params& params, OnAnswer done);
    /// Ends what an error aborts, and commits what ran outside of a transaction since the last one:
    /// `done` has `failed` when it could not be committed.
    void sync(OnAnswer done = {});
    /// Writes what was put in.
    void flush();
    /// One statement with a Sync, awaited.
    Task<Answer> ask(const Statement& statement);

    /// Statements under way.
    std::size_t pending() const { return pending_.size(); }
    /// How long the server has said nothing while statements are under way.
    microseconds silence() const;
    /// Why it was lost.
    const std::string& last_words() const { return last_words_; }
    /// Called once, later, when the connection breaks by itself.
    void when_lost(std::function<void()> work) { when_lost_ = std::move(work); }
    /// Answers what is under way as lost.
    void close();

    milliseconds statement_timeout{0};  // what the server was told last

private:
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
    struct Watchdog;
    enum class Kind : std::uint8_t { prepare, statement, sync };
    struct Pending {
        Pending(Kind kind, std::string name, OnAnswer done)
            : kind(kind), name(std::move(name)), done(std::move(done)) {}
        Kind kind;
        std::string name;  // of the plan, of the statement
        OnAnswer done;
    };

    // session_open.cpp
    Task<Result<void>> connect(const Target& target, const std::string& setup);
    Task<Result<void>> poll_connection(const Target& target);
    Task<Result<void>> run_setup(const Target& target, const std::string& setup);
    Task<bool> ready(Descriptor::wait_type what);
    static Task<void> watch(
        std::shared_ptr<Session> self, std::shared_ptr<Watchdog> dog, milliseconds timeout
    );

    // session.cpp
    static Task<void> read_loop(std::shared_ptr<Session> self);
    static Task<void> write_loop(std::shared_ptr<Session> self);
    Result<std::string> prepare(const Statement& statement, const Arguments&, const Params&);
    void expect(Kind kind, std::string name, OnAnswer done);
    void take_results();
    void take_error(Complaint complaint);
    void answer(Pending& pending, Answer answer);
    void lose(std::string why);
    void lose_later();
    void finish();

    Executor home_;
    Clock& clock_;
    pg_conn* pg_ = nullptr;
    std::unique_ptr<Descriptor> socket_;  // a duplicate: libpq closes its own
    std::shared_ptr<base::Signal> resolving_;
    std::deque<Pending> pending_;
    SteadyTime heard_at_;  // or asked, when nothing was under way before
    Plans plans_;
    Complaint failed_prepare_;  // told to the statement that it was made for
    bool prepare_failed_ = false;
    std::optional<Complaint> failed_sync_;
    bool open_ = false;
    bool closed_ = false;
    bool timed_out_ = false;
    bool writing_ = false;
    std::string last_words_;
    std::function<void()> when_lost_;
};

}  // namespace souk::database::postgres
