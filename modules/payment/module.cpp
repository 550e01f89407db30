// Wires payment together: the work queue, the worker, the provider, the ledger.
#include "souk/module.hpp"

#include "app/accept_order.hpp"
#include "app/read.hpp"
#include "app/simulated_provider.hpp"
#include "app/void_order.hpp"
#include "app/worker.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "souk/embedded.hpp"
#include "souk/order/events.hpp"
#include "souk/payment/events.hpp"

namespace souk::embedded {
std::span<const File> payment();
}

namespace souk::payment {

namespace {

/// Each may hold a transaction in the database's queue (1,024 waiting by default).
constexpr std::int64_t most_workers = 512;

class PaymentModule final : public Module {
public:
    explicit PaymentModule(ModuleDeps deps)
        : clock_(deps.clock)
        , bus_(deps.bus)
        , provider_kind_(deps.settings.text("provider"))
        , workers_(deps.settings.integer("workers"))
        , provider_(std::make_shared<app::SimulatedProvider>(
              deps.executor, deps.blocking, deps.clock, deps.data / "provider.log"
          ))
        , reader_(deps.database, provider_)
        , api_(deps.database, deps.clock) {
        app::WorkerOptions options(
            static_cast<std::size_t>(workers_), deps.settings.duration("step_timeout")
        );
        worker_ = std::make_shared<app::Worker>(
            options,
            deps.executor,
            deps.database,
            deps.bus,
            deps.clock,
            deps.log,
            deps.metrics,
            provider_
        );
        deps.peers.provide<Api>(api_);
    }

    http::Routes routes() override { return http_api::routes(reader_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(reader_));
    }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> all;
        all.emplace_back(
            std::string(order::events::placed),
            [this](Transaction& tx, const Event& event) { return placed(tx, event); }
        );
        return all;
    }

    Task<Result<void>> start() override {
        if (provider_kind_ != "simulated")
            co_return invalid("bad_setting", "modules.payment.provider: only \"simulated\" exists");
        if (workers_ < 1 || workers_ > most_workers)
            co_return invalid("bad_setting", "modules.payment.workers: from 1 to 512");
        auto opened = co_await provider_->open();
        if (!opened) co_return opened.error();
        worker_->start();
        co_return Result<void>();
    }

    Health health() const override {
        Health health;
        health.detail = provider_->fault();
        health.ready = health.detail.empty();
        return health;
    }

    Task<void> stop(Deadline deadline) override { return worker_->stop(deadline); }

private:
    Task<Result<void>> placed(Transaction& tx, Event event) {
        tx.after_commit([&bus = bus_, worker = worker_] {
            worker->wake();
            bus.wake();
        });
        return app::accept_order(tx, clock_, std::move(event));
    }

    const Clock& clock_;
    Bus& bus_;
    std::string provider_kind_;
    std::int64_t workers_;
    std::shared_ptr<app::Provider> provider_;
    app::Reader reader_;
    app::LocalApi api_;
    std::shared_ptr<app::Worker> worker_;
};

}  // namespace

const ModuleInfo& module() {
    static const ModuleInfo info{
        .name = "payment",
        .calls = {},
        .publishes = {events::captured, events::declined, events::refunded},
        .listens = {order::events::placed},
        .migrations = migrations_from(embedded::payment()),
        .port = 3004,
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<PaymentModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::payment
