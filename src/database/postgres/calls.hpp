// What a caller hands over to the driver's thread, and where its answer lands.
#pragma once

#include "database/postgres/suspension.hpp"
#include "database/request.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace souk::database::postgres {

class QueryCall : public Request {
public:
    QueryCall(
        std::shared_ptr<base::Signal> signal,
        const Statement& statement,
        Params params,
        Deadline deadline,
        bool stale
    )
        : Request(std::move(signal), deadline)
        , statement(statement)
        , params(std::move(params))
        , stale(stale) {}

    const Statement statement;
    const Params params;
    const bool stale;  // a replica may answer
    int sendings = 0;
    Result<Rows> result;
};

/// The coroutine of a body and what drives it, step by step, under the lock of its call. Gone, the
/// coroutine is gone, whatever it waited for.
struct BodyRun {
    asio::io_context context;
    bool ended = false;
    Result<void> result;
    std::exception_ptr failure;
    Suspension suspended;  // before the context goes: what stands there is destroyed through it
};

class TransactCall : public Request {
public:
    TransactCall(std::shared_ptr<base::Signal> signal, TransactionBody body, Deadline deadline)
        : Request(std::move(signal), deadline), body(std::move(body)) {}

    TransactionBody body;
    std::unique_ptr<BodyRun> run;
    int runs = 0;  // begun so far
    Result<void> result;

protected:
    void abandoned() override {
        run.reset();
        body = nullptr;
    }
};

/// Unless it has an answer already, or nobody waits for one.
inline void finish(QueryCall& call, Result<Rows> result) {
    if (call.serve([&] { call.result = std::move(result); })) call.answer();
}

/// What the body captured ends here, while the coroutine stands still.
inline void finish(TransactCall& call, Result<void> result) {
    auto end = [&] {
        call.run.reset();
        call.body = nullptr;
        call.result = std::move(result);
    };
    if (call.serve(end)) call.answer();
}

inline Error late() {
    return Error(ErrorKind::timeout, "timeout", "the deadline passed before the database answered");
}
inline Error cancelled() {
    return Error(ErrorKind::timeout, "cancelled", "the caller no longer waits");
}

}  // namespace souk::database::postgres
