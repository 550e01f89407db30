#include "app/place_order.hpp"

#include "app/announce.hpp"
#include "app/claim.hpp"
#include "souk/failpoint.hpp"

#include <algorithm>
#include <map>
#include <memory>

namespace souk::order::app {

namespace {

constexpr int number_attempts = 3;
constexpr int ok = 200;
constexpr int created = 201;

Error died(std::string_view where) {
    return unavailable("failpoint", "armed failpoint " + std::string(where));
}

/// A refusal that the same request would always meet.
bool is_final(const Error& error) {
    switch (error.kind) {
        case ErrorKind::invalid:
        case ErrorKind::forbidden:
        case ErrorKind::not_found:
        case ErrorKind::unprocessable:
            return true;
        default:
            return false;
    }
}

Error external_ref_taken() {
    return conflict("external_ref_taken", "this external_ref was imported with another content");
}

std::vector<domain::Offer> offers(const std::vector<product::ReservedProduct>& reserved) {
    std::vector<domain::Offer> out;
    out.reserve(reserved.size());
    for (const auto& held : reserved)
        out.emplace_back(held.product_id, held.sku, held.name, held.unit_price, held.currency);
    return out;
}

/// Rolls place_alone() back.
Error taken() {
    return conflict("order_taken", "a unique value of the order is taken");
}

Task<Result<void>> announce(
    Services& services, Transaction& tx, const store::Placing& placing, std::string traceparent
) {
    return announce_placed(
        services, tx, placing.order, placing.details.payment_token, std::move(traceparent)
    );
}

/// What is announced goes with what makes it true, or not at all.
Task<Result<void>> place_alone(
    Services& services,
    Transaction& tx,
    std::shared_ptr<const store::Placing> placing,
    std::string traceparent
) {
    auto announced = co_await announce(services, tx, *placing, std::move(traceparent));
    if (!announced) co_return announced.error();
    auto placed = co_await store::place(tx, placing->closing, placing->order, placing->details);
    if (!placed) co_return placed.error();
    if (*placed == store::Placed::lease_lost) co_return in_flight();
    if (*placed == store::Placed::taken) co_return taken();
    co_return Result<void>();
}

/// The same for many, in the ascending order of their ids.
using Batch = std::map<std::string, PlaceRequest>;

Task<Result<void>> place_batch(
    Services& services, Transaction& tx, std::shared_ptr<const Batch> batch
) {
    std::vector<std::shared_ptr<const store::Placing>> placings;
    for (const auto& [id, request] : *batch) {
        auto announced = co_await announce(services, tx, *request.placing, request.traceparent);
        if (!announced) co_return announced.error();
        placings.push_back(request.placing);
    }
    co_return co_await store::place_many(tx, placings);
}

/// One request under its lease. Lives in the frame of place_order().
class Placement {
public:
    Placement(
        Services& services,
        CallContext ctx,
        PlaceCommand command,
        Renderer renderer,
        store::Lease lease
    )
        : services_(services)
        , ctx_(std::move(ctx))
        , command_(std::move(command))
        , renderer_(renderer)
        , lease_(std::move(lease)) {}

    Task<Result<PlaceAnswer>> run() {
        if (failpoint::hit("order.after_claim")) co_return died("order.after_claim");
        auto reserved = co_await reserve();
        if (!reserved) co_return co_await reserve_failed(reserved.error());
        if (failpoint::hit("order.after_reserve")) co_return died("order.after_reserve");
        auto priced = domain::price_order(command_.items, offers(*reserved), command_.currency);
        if (!priced) co_return co_await release_and_refuse(priced.error());
        co_return co_await commit(make_order(std::move(*priced)));
    }

    /// The order is here already, from an import under another key.
    Task<Result<PlaceAnswer>> answer_duplicate(store::Imported existing) {
        if (existing.content_hash != command_.import->content_hash)
            co_return co_await refuse(external_ref_taken());
        std::vector<std::string> ids(1, existing.order_id);
        auto orders =
            co_await store::find_orders(services_.database, std::move(ids), ctx_.deadline);
        if (!orders) co_return co_await give_up(orders.error());
        PlaceAnswer answer(ok, renderer_.order(orders->front()), true);
        co_return co_await finish(std::move(answer));
    }

private:
    Task<Result<std::vector<product::ReservedProduct>>> reserve() {
        std::vector<product::ReserveLine> lines;
        lines.reserve(command_.items.size());
        for (const domain::Item& item : command_.items)
            lines.emplace_back(item.product_id, item.quantity);
        return services_.product->reserve(ctx_, lease_.order_id, std::move(lines));
    }

    Task<Result<PlaceAnswer>> reserve_failed(Error error) {
        if (error.code == "order_released") {
            // Fenced by the sweeper, or released by a holder that died before it could say so. The
            // id takes no stock any more: in the second case a retry shall begin with another.
            co_await forget(services_, lease_);
            co_return in_flight();
        }
        const bool out_of_stock = error.code == "out_of_stock";
        if (!out_of_stock && !is_final(error)) co_return co_await give_up(std::move(error));
        if (lease_.fence > 1) {
            // An earlier holder's call may still be under way. Nobody would look after its hold.
            auto released = co_await services_.product->release(ctx_, lease_.order_id);
            if (!released) co_return co_await give_up(released.error());
        }
        if (!out_of_stock) co_return co_await refuse(std::move(error));
        co_await forget(services_, lease_);  // nothing is held
        co_return error;
    }

    /// For now: a retry goes on under the same order id.
    Task<Result<PlaceAnswer>> give_up(Error error) {
        co_await reopen(services_, lease_);
        co_return error;
    }

    Task<Result<PlaceAnswer>> refuse(Error error) {
        std::string body = renderer_.problem(error, ctx_.request_id);
        PlaceAnswer answer(http_status(error.kind), std::move(body), false);
        co_return co_await finish(std::move(answer));
    }

    /// The hold goes first: an intent with a final answer is nobody's to clean up.
    Task<Result<PlaceAnswer>> release_and_refuse(Error error) {
        auto released = co_await services_.product->release(ctx_, lease_.order_id);
        if (!released) co_return co_await give_up(released.error());
        co_return co_await refuse(std::move(error));
    }

    Task<Result<void>> finish_in(Transaction& tx, const PlaceAnswer& answer) {
        auto finished = co_await store::finish_intent(tx, lease_, answer.status, answer.body);
        if (!finished) co_return finished.error();
        if (!*finished) co_return in_flight();  // somebody took the lease over
        co_return Result<void>();
    }

    Task<Result<PlaceAnswer>> finish(PlaceAnswer answer) {
        TransactionBody body = [this, &answer](Transaction& tx) { return finish_in(tx, answer); };
        auto done = co_await services_.database.transact(std::move(body), ctx_.deadline);
        if (!done) co_return done.error();
        co_return answer;
    }

    Order make_order(domain::Priced priced) {
        Order order(lease_.order_id, "", command_.user_id, "pending", priced.total);
        details_.created_at = services_.clock.now();
        details_.payment_token = command_.payment_token;
        details_.units = priced.units;
        details_.import = command_.import;
        order.placed_at = command_.placed_at.value_or(details_.created_at);
        order.lines = std::move(priced.lines);
        return order;
    }

    Task<Result<void>> write(std::shared_ptr<const store::Placing> placing) {
        if (services_.placements != nullptr) {
            PlaceRequest together(placing, ctx_.traceparent, ctx_.deadline);
            auto placed = co_await services_.placements->call(std::move(together));
            if (!placed) co_return placed.error();
            if (*placed) co_return Result<void>();
        }
        TransactionBody body = [this, placing](Transaction& tx) {
            return place_alone(services_, tx, placing, ctx_.traceparent);
        };
        co_return co_await services_.database.transact(std::move(body), ctx_.deadline);
    }

    Task<Result<PlaceAnswer>> commit(Order order) {
        for (int attempt = 0; attempt < number_attempts; ++attempt) {
            order.number = domain::order_number(order.id, order.placed_at, attempt);
            PlaceAnswer answer(created, renderer_.order(order), false);
            store::Closing closing(lease_.order_id, lease_.fence, answer.status, answer.body);
            auto placing =
                std::make_shared<const store::Placing>(std::move(closing), order, details_);
            auto done = co_await write(std::move(placing));
            if (done) {
                if (failpoint::hit("order.after_commit")) co_return died("order.after_commit");
                co_return answer;
            }
            if (done.error().code == "idempotency_in_flight") co_return done.error();
            if (done.error().code != "order_taken") co_return co_await give_up(done.error());
            if (!command_.import) continue;
            auto duplicate = co_await store::find_imported(
                services_.database,
                command_.import->source,
                command_.import->external_ref,
                ctx_.deadline
            );
            if (!duplicate) co_return co_await give_up(duplicate.error());
            if (*duplicate) co_return co_await release_and_answer(std::move(**duplicate));
        }
        Error error(ErrorKind::internal, "no_order_number", "no free order number was found");
        co_return co_await give_up(std::move(error));
    }

    /// Two imports of one sale ran side by side, and this one came second.
    Task<Result<PlaceAnswer>> release_and_answer(store::Imported existing) {
        auto released = co_await services_.product->release(ctx_, lease_.order_id);
        if (!released) co_return co_await give_up(released.error());
        co_return co_await answer_duplicate(std::move(existing));
    }

    Services& services_;
    const CallContext ctx_;
    const PlaceCommand command_;
    const Renderer renderer_;
    const store::Lease lease_;
    store::OrderDetails details_;
};

}  // namespace

Task<Placements::Answers> place_together(Services& services, std::vector<PlaceRequest> requests) {
    Placements::Answers answers(requests.size(), false);
    auto batch = std::make_shared<Batch>();
    SteadyTime first = SteadyTime::max();  // whose time ends
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const PlaceRequest& request = requests[i];
        if (request.deadline.passed(services.clock)) continue;
        if (!batch->emplace(request.placing->order.id, request).second) continue;
        first = std::min(first, request.deadline.at());
        places.push_back(i);
    }
    if (places.empty()) co_return answers;
    TransactionBody body = [&services, batch](Transaction& tx) {
        return place_batch(services, tx, batch);
    };
    auto done = co_await services.database.transact(std::move(body), Deadline(first));
    if (!done && !concerns_all(done.error())) co_return answers;
    for (const std::size_t i : places) {
        if (done)
            answers[i] = true;
        else
            answers[i] = done.error();
    }
    co_return answers;
}

Task<Result<PlaceAnswer>> place_order(
    Services& services, CallContext ctx, PlaceCommand command, Renderer renderer
) {
    auto claimed = co_await claim(services, command, ctx.deadline);
    if (!claimed) co_return claimed.error();
    if (claimed->answer) co_return std::move(*claimed->answer);
    Placement placement(
        services, std::move(ctx), std::move(command), renderer, std::move(claimed->lease)
    );
    if (claimed->duplicate)
        co_return co_await placement.answer_duplicate(std::move(*claimed->duplicate));
    co_return co_await placement.run();
}

}  // namespace souk::order::app
