// Wires the order module together: placing, paying and cancelling orders, and the sweeper.
#include "souk/module.hpp"

#include "app/local_api.hpp"
#include "app/payment_events.hpp"
#include "app/prune.hpp"
#include "app/sweep.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "souk/background.hpp"
#include "souk/embedded.hpp"
#include "souk/order/events.hpp"
#include "souk/payment/events.hpp"

namespace souk::embedded {
std::span<const File> order();
}

namespace souk::order {

namespace {

app::Limits limits(const Settings& settings) {
    return app::Limits(
        Currency::parse(settings.text("currency")).value(),
        settings.duration("intent_lease"),
        settings.duration("payment_timeout")
    );
}

class OrderModule final : public Module {
public:
    explicit OrderModule(ModuleDeps deps)
        : peers_(deps.peers)
        , services_(deps.database, deps.clock, deps.bus, deps.log, limits(deps.settings))
        , api_(services_)
        , sweeper_(services_)
        , sweeps_(
              deps.executor,
              deps.clock,
              deps.settings.duration("sweep_every"),
              [this] { return sweeper_.sweep(); }
          )
        , prunes_(deps.executor, deps.clock, app::prune_every, [this] {
            return app::prune(services_);
        }) {
        deps.peers.provide<Api>(api_);
    }

    http::Routes routes() override { return http_api::routes(services_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(services_));
    }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> list;
        list.emplace_back(
            std::string(payment::events::captured),
            [this](Transaction& tx, const Event& event) {
                return app::on_payment_captured(services_, tx, event);
            }
        );
        list.emplace_back(
            std::string(payment::events::declined),
            [this](Transaction& tx, const Event& event) {
                return app::on_payment_declined(services_, tx, event);
            }
        );
        list.emplace_back(
            std::string(payment::events::refunded),
            [this](Transaction& tx, const Event& event) {
                return app::on_payment_refunded(services_, tx, event);
            }
        );
        return list;
    }

    Task<Result<void>> start() override {
        services_.product = &peers_.get<product::Api>();
        services_.payment = &peers_.get<payment::Api>();
        sweeps_.start();
        prunes_.start();
        co_return Result<void>();
    }
    Task<void> stop(Deadline) override {
        co_await sweeps_.stop();
        co_await prunes_.stop();
    }

private:
    Peers& peers_;
    app::Services services_;
    app::LocalApi api_;
    app::Sweeper sweeper_;
    Periodic sweeps_;
    Periodic prunes_;
};

}  // namespace

const ModuleInfo& module() {
    static const ModuleInfo info{
        .name = "order",
        .calls = {"product", "payment"},
        .publishes = {events::placed, events::paid, events::cancelled},
        .listens =
            {payment::events::captured, payment::events::declined, payment::events::refunded},
        .migrations = migrations_from(embedded::order()),
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<OrderModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::order
