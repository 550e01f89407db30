// Wires the order module together: placing, paying and cancelling orders, and the sweeper.
#include "souk/module.hpp"

#include "app/claim.hpp"
#include "app/local_api.hpp"
#include "app/payment_events.hpp"
#include "app/place_order.hpp"
#include "app/prune.hpp"
#include "app/sweep.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "souk/background.hpp"
#include "souk/embedded.hpp"
#include "souk/order/events.hpp"
#include "souk/payment/events.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <memory>
#include <utility>

namespace souk::embedded {
std::span<const File> order();
}

namespace souk::order {

namespace {

// Requests in one transaction, and such transactions at a time: while one commits, the next one
// gathers and runs.
constexpr std::size_t placing_most = 64;
constexpr std::size_t placing_hands = 2;

app::Limits limits(const Settings& settings) {
    return app::Limits(
        Currency::parse(settings.text("currency")).value(),
        settings.duration("intent_lease"),
        settings.duration("payment_timeout")
    );
}

/// What the background tasks work with. They hold it: a step that outlasts the stop may outlive the
/// module.
struct Background {
    explicit Background(const ModuleDeps& deps)
        : services(deps.database, deps.clock, deps.bus, deps.log, limits(deps.settings))
        , sweeper(services) {}
    app::Services services;
    app::Sweeper sweeper;
};

class OrderModule final : public Module {
public:
    explicit OrderModule(ModuleDeps deps)
        : peers_(deps.peers)
        , background_(std::make_shared<Background>(deps))
        , services_(background_->services)
        , api_(services_)
        , claims_(
              deps.executor,
              placing_hands,
              placing_most,
              [held = background_](std::vector<app::ClaimRequest> requests) {
                  return app::claim_together(held->services, std::move(requests));
              }
          )
        , placements_(
              deps.executor,
              placing_hands,
              placing_most,
              [held = background_](std::vector<app::PlaceRequest> requests) {
                  return app::place_together(held->services, std::move(requests));
              }
          )
        , sweeps_(
              deps.executor,
              deps.clock,
              deps.settings.duration("sweep_every"),
              [held = background_] { return held->sweeper.sweep(); }
          )
        , prunes_(deps.executor, deps.clock, app::prune_every, [held = background_] {
            return app::prune(held->services);
        }) {
        deps.peers.provide<Api>(api_);
        // SQLite's writer commits many together by itself.
        if (deps.database.dialect() != Dialect::postgres) return;
        services_.claims = &claims_;
        services_.placements = &placements_;
    }

    http::Routes routes() override { return http_api::routes(services_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(services_));
    }

    std::vector<Subscription> subscriptions() override {
        std::vector<Subscription> list;
        list.emplace_back(
            std::string(payment::events::captured),
            [this](Transaction& tx, std::span<const Event> events) {
                return app::on_payments_captured(services_, tx, events);
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
    Task<void> stop(Deadline deadline) override {
        using namespace asio::experimental::awaitable_operators;
        services_.stopping = true;
        auto tasks = sweeps_.stop() && prunes_.stop() && claims_.rest() && placements_.rest();
        Clock& clock = services_.clock;
        auto first = std::move(tasks) || clock.sleep(deadline.remaining(clock));
        co_await std::move(first);
    }

private:
    Peers& peers_;
    const std::shared_ptr<Background> background_;
    app::Services& services_;
    app::LocalApi api_;
    const app::Claims claims_;
    const app::Placements placements_;
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
        .port = 3003,
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<OrderModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::order
