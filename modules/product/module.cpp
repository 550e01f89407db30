// Wires the product module together: the catalogue, its stock, and the holds of orders.
#include "souk/module.hpp"

#include "app/forget_requests.hpp"
#include "app/hold_alarm.hpp"
#include "app/local_api.hpp"
#include "app/settle.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "souk/background.hpp"
#include "souk/embedded.hpp"

namespace souk::embedded {
std::span<const File> product();
}

namespace souk::product {

namespace {

constexpr milliseconds chores_interval = std::chrono::minutes(1);

class ProductModule final : public Module {
public:
    explicit ProductModule(ModuleDeps deps)
        : rendered_(deps.cache, deps.clock)
        , services_(deps.database, deps.clock, deps.log, &rendered_)
        , api_(services_)
        , old_holds_(deps.metrics.gauge(
              "product_holds_overdue", "Orders that hold stock for longer than hold_alarm_age"
          ))
        , chores_(deps.executor, deps.clock, chores_interval, chores(deps.settings)) {
        deps.peers.provide<Api>(api_);
    }

    http::Routes routes() override { return http_api::routes(services_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(services_));
    }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> list;
        list.emplace_back("order.paid", [this](Transaction& tx, const Event& event) {
            return app::on_order_paid(services_, tx, event);
        });
        list.emplace_back("order.cancelled", [this](Transaction& tx, const Event& event) {
            return app::on_order_cancelled(services_, tx, event);
        });
        return list;
    }

    Task<Result<void>> start() override {
        chores_.start();
        co_return Result<void>();
    }
    Task<void> stop(Deadline) override { return chores_.stop(); }

private:
    Periodic::Step chores(const Settings& settings) {
        const milliseconds age = settings.duration("hold_alarm_age");
        return [this, age] { return do_chores(age); };
    }
    Task<void> do_chores(milliseconds alarm_age) {
        co_await app::watch_old_holds(services_, alarm_age, old_holds_);
        co_await app::forget_old_requests(services_);
    }

    app::CatalogueCache rendered_;
    app::Services services_;
    app::LocalApi api_;
    Gauge& old_holds_;
    Periodic chores_;
};

}  // namespace

const ModuleInfo& module() {
    static const ModuleInfo info{
        .name = "product",
        .calls = {},
        .publishes = {},
        .listens = {"order.paid", "order.cancelled"},
        .migrations = migrations_from(embedded::product()),
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<ProductModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::product
