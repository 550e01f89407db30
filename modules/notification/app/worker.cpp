#include "app/worker.hpp"

#include "souk/failpoint.hpp"
#include "store/mail_store.hpp"

#include <boost/asio/post.hpp>

#include <set>
#include <unordered_map>

namespace souk::notification::app {

namespace {

constexpr microseconds poll = seconds(1);
constexpr microseconds step_timeout = seconds(5);
// More than all the steps of a batch, and what its customers wait longer after a crash.
constexpr microseconds lease = seconds(25);

Counter& mails_total(Metrics& metrics, std::string_view status) {
    return metrics.counter(
        "notification_mails_total", "Mails that reached a final status", {{"status", status}}
    );
}

Task<Result<void>> claim_into(
    Transaction& tx, Timestamp now, std::size_t limit, std::vector<domain::Mail>& mails
) {
    auto claimed = co_await store::claim_mails(tx, now, now + lease, limit);
    if (!claimed) co_return claimed.error();
    mails = std::move(*claimed);
    co_return Result<void>();
}

struct Undeliverable {
    Undeliverable(std::string id, std::string reason)
        : id(std::move(id)), reason(std::move(reason)) {}
    std::string id;
    std::string reason;
};

Task<Result<void>> mark(
    Transaction& tx, std::vector<std::string> sent, std::vector<Undeliverable> undeliverable
) {
    for (auto& mail : undeliverable) {
        auto marked = co_await store::mark_undeliverable(tx, mail.id, mail.reason);
        if (!marked) co_return marked.error();
    }
    if (sent.empty()) co_return Result<void>();
    co_return co_await store::mark_sent(tx, std::move(sent));
}

Task<Result<void>> reschedule(Transaction& tx, std::vector<domain::Mail> mails, Timestamp now) {
    for (const auto& mail : mails) {
        auto at = now + domain::retry_delay(mail.tries);
        auto done = co_await store::reschedule_mail(tx, mail.id, mail.tries, at);
        if (!done) co_return done.error();
    }
    co_return Result<void>();
}

template <class T>
std::vector<std::string> ids_of(const std::vector<domain::Mail>& mails, T member) {
    std::set<std::string> ids;
    for (const auto& mail : mails)
        ids.insert(mail.*member);
    return std::vector<std::string>(ids.begin(), ids.end());
}

}  // namespace

struct Worker::Batch {
    std::vector<domain::Mail> mails;
    std::unordered_map<std::string, order::Order> orders;
    std::unordered_map<std::string, user::User> users;
    std::vector<OutgoingMail> outgoing;
    std::vector<Undeliverable> undeliverable;
};

Worker::Worker(
    std::size_t batch,
    Executor executor,
    Database& database,
    Clock& clock,
    Logger log,
    Metrics& metrics,
    std::unique_ptr<Renderer> renderer,
    OutboxFolder outbox
)
    : batch_(batch)
    , executor_(executor)
    , database_(database)
    , clock_(clock)
    , log_(log)
    , renderer_(std::move(renderer))
    , outbox_(std::move(outbox))
    , sent_(mails_total(metrics, "sent"))
    , undeliverable_(mails_total(metrics, "undeliverable"))
    , drained_(executor, clock) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        work_[lane] = std::make_unique<Wakeup>(executor, clock);
        pace_[lane] =
            std::make_unique<Pace>(*work_[lane], clock, usual_pace, [this] { return stopping_; });
    }
}

void Worker::start(order::Api& orders, user::Api& users) {
    orders_ = &orders;
    users_ = &users;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        ++running_;
        spawn(executor_, [self = shared_from_this(), lane] { return self->run(lane); });
    }
}

void Worker::wake() {
    asio::post(executor_, [self = shared_from_this()] {
        for (auto& wakeup : self->work_)
            wakeup->notify();
    });
}

Task<void> Worker::stop(Deadline deadline) {
    auto self = shared_from_this();
    stopping_ = true;
    for (auto& wakeup : work_)
        wakeup->notify();
    while (running_ > 0 && !deadline.passed(clock_))
        co_await drained_.wait(deadline.remaining(clock_));
}

Deadline Worker::step_deadline() const {
    return Deadline(clock_, step_timeout);
}

Task<void> Worker::run(std::size_t lane) {
    while (!stopping_) {
        co_await pace_[lane]->next();
        if (stopping_) break;
        std::size_t claimed = 0;
        try {
            claimed = co_await process_batch();
        } catch (const std::exception& fault) {
            // The lease brings the batch back; one broken mail must not stop the others for good.
            log_.error("a batch of mails failed", {{"error", fault.what()}});
        }
        if (claimed < batch_) co_await work_[lane]->wait(poll);
    }
    --running_;
    drained_.notify();
}

Task<std::size_t> Worker::process_batch() {
    auto mails = co_await claim();
    if (!mails) {
        log_.warn("mails could not be claimed", {{"error", mails.error().detail}});
        co_return 0;
    }
    if (mails->empty()) co_return 0;
    Batch batch;
    batch.mails = std::move(*mails);
    auto done = co_await look_up(batch);
    if (done) {
        render(batch);
        done = co_await hand_over(batch);
    }
    if (!done) co_await postpone(batch.mails, done.error());
    co_return batch.mails.size();
}

Task<Result<std::vector<domain::Mail>>> Worker::claim() {
    std::vector<domain::Mail> mails;
    const auto now = clock_.now();
    TransactionBody body = [&](Transaction& tx) { return claim_into(tx, now, batch_, mails); };
    auto committed = co_await database_.transact(body, step_deadline());
    if (!committed) co_return committed.error();
    co_return mails;
}

Task<Result<void>> Worker::look_up(Batch& batch) {
    Identity system("system", {}, {});
    CallContext ctx(std::move(system), step_deadline(), batch.mails.front().id, std::string());
    auto order_ids = ids_of(batch.mails, &domain::Mail::order_id);
    auto orders = co_await orders_->get_many(ctx, std::move(order_ids));
    if (!orders) co_return orders.error();
    for (auto& order : *orders)
        batch.orders.emplace(order.id, std::move(order));
    auto user_ids = ids_of(batch.mails, &domain::Mail::user_id);
    auto users = co_await users_->get_many(ctx, std::move(user_ids));
    if (!users) co_return users.error();
    for (auto& user : *users)
        batch.users.emplace(user.id, std::move(user));
    co_return Result<void>();
}

void Worker::render(Batch& batch) {
    auto give_up = [&](const domain::Mail& mail, std::string reason) {
        log_.warn(
            "a mail goes nowhere",
            {{"mail_id", mail.id}, {"order_id", mail.order_id}, {"reason", reason}}
        );
        batch.undeliverable.emplace_back(mail.id, std::move(reason));
    };
    for (const auto& mail : batch.mails) {
        auto order = batch.orders.find(mail.order_id);
        auto user = batch.users.find(mail.user_id);
        if (order == batch.orders.end()) {
            give_up(mail, "unknown_order");
            continue;
        }
        if (user == batch.users.end()) {
            give_up(mail, "unknown_user");
            continue;
        }
        auto message = renderer_->render(mail, order->second, user->second);
        if (message)
            batch.outgoing.emplace_back(mail.id, mail.tries, std::move(*message));
        else
            give_up(mail, message.error().code);
    }
}

Task<Result<void>> Worker::hand_over(Batch& batch) {
    std::vector<std::string> sent;
    for (const auto& mail : batch.outgoing)
        sent.push_back(mail.id);
    if (!sent.empty()) {
        auto delivered = co_await outbox_.deliver(std::move(batch.outgoing));
        if (!delivered) co_return delivered.error();
    }
    if (failpoint::hit("notification.after_write_before_mark"))
        co_return unavailable("failpoint", "armed failpoint after_write_before_mark");
    TransactionBody body = [&](Transaction& tx) { return mark(tx, sent, batch.undeliverable); };
    auto committed = co_await database_.transact(body, step_deadline());
    if (!committed) co_return committed.error();
    sent_.add(static_cast<double>(sent.size()));
    undeliverable_.add(static_cast<double>(batch.undeliverable.size()));
    co_return Result<void>();
}

Task<void> Worker::postpone(std::vector<domain::Mail> mails, Error why) {
    log_.warn(
        "mails are tried again later",
        {{"mails", mails.size()}, {"error", why.code}, {"detail", why.detail}}
    );
    const auto now = clock_.now();
    TransactionBody body = [&](Transaction& tx) { return reschedule(tx, mails, now); };
    auto committed = co_await database_.transact(body, step_deadline());
    if (!committed)  // their lease brings them back
        log_.warn("mails could not be rescheduled", {{"error", committed.error().code}});
}

}  // namespace souk::notification::app
