// Wires the product module together: the catalogue, its stock, and the holds of orders.
#include "souk/module.hpp"

#include "app/forget_requests.hpp"
#include "app/hold_alarm.hpp"
#include "app/local_api.hpp"
#include "app/reserve.hpp"
#include "app/settle.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "souk/background.hpp"
#include "souk/embedded.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <memory>
#include <utility>

namespace souk::embedded {
std::span<const File> product();
}

namespace souk::product {

namespace {

constexpr milliseconds chores_interval = std::chrono::minutes(1);
// Reservations in one transaction, and such transactions at a time: a second one would mostly wait
// for the stock that the first has locked.
constexpr std::size_t reserving_most = 64;
constexpr std::size_t reserving_hands = 1;

/// What the background tasks work with. They hold it: a step that outlasts the stop may outlive the
/// module.
struct Background {
    explicit Background(const ModuleDeps& deps)
        : rendered(deps.cache, deps.clock)
        , services(deps.database, deps.clock, deps.log, &rendered)
        , alarm_age(deps.settings.duration("hold_alarm_age"))
        , old_holds(deps.metrics.gauge(
              "product_holds_overdue", "Orders that hold stock for longer than hold_alarm_age"
          )) {}

    Task<void> do_chores() {
        co_await app::watch_old_holds(services, alarm_age, old_holds);
        if (services.stopping) co_return;
        co_await app::forget_old_requests(services);
    }

    app::CatalogueCache rendered;
    app::Services services;
    const milliseconds alarm_age;
    Gauge& old_holds;
};

class ProductModule final : public Module {
public:
    explicit ProductModule(ModuleDeps deps)
        : background_(std::make_shared<Background>(deps))
        , services_(background_->services)
        , api_(services_)
        , reservations_(
              deps.executor,
              reserving_hands,
              reserving_most,
              [held = background_](std::vector<store::Wish> wishes) {
                  return app::reserve_together(held->services, std::move(wishes));
              }
          )
        , chores_(deps.executor, deps.clock, chores_interval, [held = background_] {
            return held->do_chores();
        }) {
        deps.peers.provide<Api>(api_);
        // SQLite's writer commits many together by itself.
        if (deps.database.dialect() == Dialect::postgres) services_.reservations = &reservations_;
    }

    http::Routes routes() override { return http_api::routes(services_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(services_));
    }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> list;
        list.emplace_back("order.paid", [this](Transaction& tx, std::span<const Event> events) {
            return app::on_orders_paid(services_, tx, events);
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
    Task<void> stop(Deadline deadline) override {
        using namespace asio::experimental::awaitable_operators;
        services_.stopping = true;
        Clock& clock = services_.clock;
        auto tasks = chores_.stop() && reservations_.rest();
        auto first = std::move(tasks) || clock.sleep(deadline.remaining(clock));
        co_await std::move(first);
    }

private:
    const std::shared_ptr<Background> background_;
    app::Services& services_;
    app::LocalApi api_;
    const app::Reservations reservations_;
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
        .port = 8000,
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<ProductModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::product
