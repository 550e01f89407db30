#include "database/postgres/pool.hpp"

#include "database/postgres/worker.hpp"

#include <algorithm>

namespace souk::database::postgres {

Pool::Pool(
    std::shared_ptr<const Connector> connector,
    std::size_t sure,
    std::shared_ptr<ConnectionBudget> budget
)
    : connector_(std::move(connector))
    , sure_(std::max<std::size_t>(sure, 1))
    , budget_(std::move(budget)) {}

Pool::~Pool() = default;

std::shared_ptr<Pool::Worker> Pool::make_worker(bool sure) {
    auto worker = std::make_shared<Worker>(*this, sure);
    workers_.insert(worker);
    return worker;
}

Task<Result<void>> Pool::open() {
    auto first = make_worker(true);
    auto connected = co_await first->connect();
    co_return connected;
}

void Pool::run() {
    while (workers_.size() < sure_)
        make_worker(true);
    for (const auto& worker : workers_)
        start(worker);
}

void Pool::close() {
    closed_ = true;
    for (auto& call : std::exchange(waiting_, {}))
        finish(*call, stopping());
    const auto workers = workers_;
    workers_.clear();
    for (const auto& worker : workers)
        worker->close();
}

void Pool::add(std::shared_ptr<TransactCall> call) {
    if (closed_) return finish(*call, stopping());
    if (std::string why = any_usable() ? "" : fault(); !why.empty())
        return finish(*call, unavailable("database", why));
    waiting_.push_back(std::move(call));
    wake_one();
}

void Pool::again(std::shared_ptr<TransactCall> call) {
    if (closed_) return finish(*call, stopping());
    waiting_.push_front(std::move(call));
    wake_one();
}

void Pool::wake_one() {
    if (!idle_.empty()) {
        Worker* worker = idle_.back();
        idle_.pop_back();
        return worker->wake();
    }
    if (starting_ < waiting_.size()) add_worker();
}

/// For a worker that was woken and cannot serve: what it was woken for is another's.
void Pool::pass_on() {
    if (!waiting_.empty()) wake_one();
}

void Pool::doubt(const Error& why) {
    for (Worker* worker : std::exchange(idle_, {}))
        worker->leave_server();
    if (!any_usable()) go_away(why);
}

void Pool::add_worker() {
    if (!budget_ || !any_usable() || !budget_->take()) return;
    ++starting_;
    start(make_worker(false));
}

void Pool::start(std::shared_ptr<Worker> worker) {
    auto self = shared_from_this();
    spawn(connector_->home, [worker, self] { return Worker::run(worker, self); });
}

std::shared_ptr<TransactCall> Pool::next() {
    while (!waiting_.empty()) {
        auto call = std::move(waiting_.front());
        waiting_.pop_front();
        if (!call->attended()) continue;
        if (!call->deadline.passed(connector_->clock)) return call;
        finish(*call, too_late());
    }
    return nullptr;
}

void Pool::go_away(const Error& why) {
    fault_.set(why.detail);
    for (auto& call : std::exchange(waiting_, {}))
        finish(*call, unavailable("database", why.detail));
}

bool Pool::any_usable() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
        return worker->usable();
    });
}

bool Pool::check() {
    bool busy = false;
    for (const auto& worker : workers_)
        busy = worker->check() || busy;
    for (auto& call : waiting_)
        if (call->deadline.passed(connector_->clock)) finish(*call, too_late());
    std::erase_if(waiting_, [](const auto& call) { return !call->attended(); });
    return busy || !waiting_.empty();
}

}  // namespace souk::database::postgres
