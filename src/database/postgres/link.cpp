#include "database/postgres/link.hpp"

#include <algorithm>

namespace souk::database::postgres {

milliseconds jittered(milliseconds at_most) {
    static thread_local std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<milliseconds::rep> pick(at_most.count() / 2, at_most.count());
    return milliseconds(pick(random));
}

milliseconds Backoff::next() {
    milliseconds now = step_;
    step_ = std::min<milliseconds>(step_ * 2, milliseconds(500));
    return jittered(now);
}

void Census::add(int n) {
    std::lock_guard lock(mutex_);
    if (gauge_ == nullptr) return;
    open_ += n;
    gauge_->add(n);
}

void Census::end() {
    std::lock_guard lock(mutex_);
    if (gauge_ != nullptr) gauge_->add(-open_);
    gauge_ = nullptr;
}

void Fault::set(std::string words) {
    std::lock_guard lock(mutex_);
    words_ = std::move(words);
}

std::string Fault::words() const {
    std::lock_guard lock(mutex_);
    return words_;
}

Link::Link(std::shared_ptr<const Connector> connector) : connector_(std::move(connector)) {}

Link::~Link() {
    close();
}

Task<Result<void>> Link::connect(std::function<void()> lost) {
    close();
    auto session = std::make_shared<Session>(connector_->home, connector_->clock);
    session_ = session;
    auto connector = connector_;
    auto opened = co_await session->open(connector->target, connector->setup, connector->timeout);
    if (!opened) co_return opened.error();
    session->when_lost(std::move(lost));
    connector->census->add(1);
    counted_ = true;
    co_return Result<void>();
}

void Link::close() {
    if (session_) session_->close();
    session_.reset();
    if (std::exchange(counted_, false)) connector_->census->add(-1);
}

}  // namespace souk::database::postgres
