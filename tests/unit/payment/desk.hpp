// The simulated provider alone, on a file of its own in a world's folder. Two desks are two
// replicas.
#pragma once

#include "app/simulated_provider.hpp"
#include "unit/payment/payment_world.hpp"

#include <boost/asio/detached.hpp>

namespace souk::test {

namespace app = payment::app;

inline const Money price(500, Currency::gbp());

using Given = std::optional<Result<app::Answer>>;

inline Task<void> keep(Task<Result<app::Answer>> task, Given& given) {
    given.emplace(co_await std::move(task));
}

struct Desk {
    explicit Desk(PaymentWorld& world)
        : world(world)
        , file(world.folder() / "desk.log")
        , provider(std::make_shared<app::SimulatedProvider>(
              world.context().get_executor(), world.pool(), world.clock, file
          )) {}
    Result<void> open() { return world.run(provider->open()); }
    Result<app::Answer> charge(const std::string& attempt, const std::string& token) {
        app::ChargeRequest request(attempt, "ord_1", token, price);
        return wait_for(provider->charge(request, Deadline(world.clock, seconds(20))));
    }
    Result<app::Answer> refund(const std::string& attempt, const std::string& charge) {
        app::RefundRequest request(attempt, charge, price);
        return wait_for(provider->refund(request, Deadline::never()));
    }
    Result<app::Answer> wait_for(Task<Result<app::Answer>> task) {
        Given given;
        start(std::move(task), given);
        world.until([&] { return given.has_value(); }, seconds(1));
        return *given;
    }
    void start(Task<Result<app::Answer>> task, Given& given) {
        asio::co_spawn(world.context(), keep(std::move(task), given), asio::detached);
    }
    app::Book book() { return world.run(provider->books("", 10)).value().at(0); }

    PaymentWorld& world;
    std::filesystem::path file;
    std::shared_ptr<app::SimulatedProvider> provider;
};

}  // namespace souk::test
