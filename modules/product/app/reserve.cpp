#include "app/reserve.hpp"

#include "domain/product.hpp"
#include "store/stock.hpp"

#include <algorithm>
#include <map>
#include <memory>

namespace souk::product::app {

namespace {

// Then each on its own.
constexpr seconds together_limit{2};

/// Rolls back; what is behind it says `Reservation`.
Error not_reserved() {
    return conflict("not_reserved", "the order takes no stock");
}

Task<Result<void>> reserve_in(
    Transaction& tx,
    std::string order_id,
    const domain::Quantities& quantities,
    Timestamp now,
    store::Reservation& out
) {
    out = store::Reservation();
    auto reservation = co_await store::reserve(tx, std::move(order_id), quantities, now);
    if (!reservation) co_return reservation.error();
    out = std::move(*reservation);
    if (!out.opened) co_return not_reserved();
    co_return Result<void>();
}

/// Which of the lines are at fault, and why.
Error refusal(const std::vector<ReserveLine>& lines, const store::Reservation& reservation) {
    if (!reservation.unknown.empty()) {
        auto fields = domain::faults_of_lines(
            lines, reservation.unknown, "unknown_product", "no such product is for sale"
        );
        return invalid("unknown_product", "some products are not for sale, see errors")
            .with_fields(std::move(fields));
    }
    auto fields = domain::faults_of_lines(
        lines, reservation.missing, "out_of_stock", "fewer units are available"
    );
    return conflict("out_of_stock", "some products are out of stock, see errors")
        .with_fields(std::move(fields));
}

/// Success also when it is not opened.
Task<Result<store::Reservation>> reserve_alone(Services& services, const store::Wish& wish) {
    const Timestamp now = services.clock.now();
    store::Reservation reservation;
    TransactionBody body = [&wish, &reservation, now](Transaction& tx) {
        return reserve_in(tx, wish.order_id, wish.quantities, now, reservation);
    };
    auto done = co_await services.database.transact(std::move(body), wish.deadline);
    if (!done && done.error().code != not_reserved().code) co_return done.error();
    co_return std::move(reservation);
}

Task<Result<store::Reservation>> reserve_now(Services& services, const store::Wish& wish) {
    if (services.reservations != nullptr) {
        store::Wish copy = wish;
        auto reserved = co_await services.reservations->call(std::move(copy));
        if (!reserved) co_return reserved.error();
        if (*reserved) co_return std::move(**reserved);
    }
    co_return co_await reserve_alone(services, wish);
}

/// What becomes of many in one transaction.
struct Batch {
    std::vector<store::Wish> wishes;
    std::vector<std::optional<store::Reservation>> outcomes;
};

Task<Result<void>> reserve_batch(Transaction& tx, std::shared_ptr<Batch> batch, Timestamp now) {
    auto outcomes = co_await store::reserve_many(tx, batch->wishes, now);
    if (!outcomes) co_return outcomes.error();
    batch->outcomes = std::move(*outcomes);
    co_return Result<void>();
}

}  // namespace

Task<Result<std::vector<ReservedProduct>>> reserve(
    Services& services, std::string order_id, std::vector<ReserveLine> lines, Deadline deadline
) {
    auto quantities = domain::sum_quantities(lines);
    if (!quantities) co_return quantities.error();
    const store::Wish wish(order_id, std::move(*quantities), deadline);
    auto reservation = co_await reserve_now(services, wish);
    if (!reservation) co_return reservation.error();
    if (reservation->opened) co_return std::move(reservation->holds);

    // Also when something seems to be missing: another call for this order may have taken it.
    auto earlier = co_await store::find_holds(services.database, std::move(order_id), deadline);
    if (!earlier) co_return earlier.error();
    if (earlier->status == store::ReservationStatus::none) co_return refusal(lines, *reservation);
    if (earlier->status == store::ReservationStatus::released)
        co_return conflict("order_released", "the order was released and takes no more stock");
    co_return std::move(earlier->products);
}

Task<Reservations::Answers> reserve_together(Services& services, std::vector<store::Wish> wishes) {
    Reservations::Answers answers(wishes.size(), std::optional<store::Reservation>());
    // Each order once, and in one order: two processes may be asked for the same orders.
    std::map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < wishes.size(); ++i)
        if (!wishes[i].deadline.passed(services.clock)) places.emplace(wishes[i].order_id, i);
    if (places.empty()) co_return answers;
    auto batch = std::make_shared<Batch>();
    // Whose time ends first, yet not for long: stock that somebody keeps locked must not hold up
    // all.
    SteadyTime first = services.clock.steady() + together_limit;
    for (const auto& [id, i] : places) {
        first = std::min(first, wishes[i].deadline.at());
        batch->wishes.push_back(std::move(wishes[i]));
    }
    const Timestamp now = services.clock.now();
    TransactionBody body = [batch, now](Transaction& tx) { return reserve_batch(tx, batch, now); };
    auto done = co_await services.database.transact(std::move(body), Deadline(first));
    if (!done && !concerns_all(done.error())) co_return answers;
    std::size_t at = 0;
    for (const auto& [id, i] : places) {
        if (done)
            answers[i] = std::move(batch->outcomes[at++]);
        else
            answers[i] = done.error();
    }
    co_return answers;
}

}  // namespace souk::product::app
