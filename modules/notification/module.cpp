// Wires notification together: mail intents, the worker, the outbox folder.
#include "souk/module.hpp"

#include "app/intend_mail.hpp"
#include "app/worker.hpp"
#include "http/routes.hpp"
#include "souk/embedded.hpp"
#include "souk/order/events.hpp"

namespace souk::embedded {
std::span<const File> notification();
}

namespace souk::notification {

namespace {

constexpr std::int64_t most_orders_a_call = 200;  // of order::Api::get_many

class NotificationModule final : public Module {
public:
    explicit NotificationModule(ModuleDeps deps)
        : database_(deps.database), clock_(deps.clock), peers_(deps.peers) {
        app::OutboxFolder outbox(deps.blocking, deps.data / "outbox");
        auto renderer =
            std::make_unique<app::Renderer>(deps.settings.text("from"), embedded::notification());
        batch_ = deps.settings.integer("batch");
        worker_ = std::make_shared<app::Worker>(
            static_cast<std::size_t>(batch_),
            deps.executor,
            deps.database,
            deps.clock,
            deps.log,
            deps.metrics,
            std::move(renderer),
            std::move(outbox)
        );
    }

    http::Routes internal_routes() override { return http_api::internal_routes(database_); }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> all;
        all.emplace_back(
            std::string(order::events::paid),
            [this](Transaction& tx, const Event& event) { return intend(tx, "order_paid", event); }
        );
        all.emplace_back(
            std::string(order::events::cancelled),
            [this](Transaction& tx, const Event& event) {
                return intend(tx, "order_cancelled", event);
            }
        );
        return all;
    }

    Task<Result<void>> start() override {
        if (batch_ < 1 || batch_ > most_orders_a_call)
            co_return invalid("bad_setting", "modules.notification.batch: from 1 to 200");
        worker_->start(peers_.get<order::Api>(), peers_.get<user::Api>());
        co_return Result<void>();
    }

    Task<void> stop(Deadline deadline) override { return worker_->stop(deadline); }

private:
    Task<Result<void>> intend(Transaction& tx, std::string mail_template, Event event) {
        tx.after_commit([worker = worker_] { worker->wake(); });
        return app::intend_mail(tx, clock_, std::move(mail_template), std::move(event));
    }

    Database& database_;
    const Clock& clock_;
    Peers& peers_;
    std::int64_t batch_;
    std::shared_ptr<app::Worker> worker_;
};

}  // namespace

const ModuleInfo& module() {
    static const ModuleInfo info{
        .name = "notification",
        .calls = {"user", "order"},
        .publishes = {},
        .listens = {order::events::paid, order::events::cancelled},
        .migrations = migrations_from(embedded::notification()),
        .port = 3005,
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<NotificationModule>(std::move(deps));
        },
    };
    return info;
}

}  // namespace souk::notification
