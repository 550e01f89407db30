#include "app/reserve.hpp"

#include "domain/product.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

namespace {

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

}  // namespace

Task<Result<std::vector<ReservedProduct>>> reserve(
    Services& services, std::string order_id, std::vector<ReserveLine> lines, Deadline deadline
) {
    auto quantities = domain::sum_quantities(lines);
    if (!quantities) co_return quantities.error();
    const Timestamp now = services.clock.now();
    store::Reservation reservation;
    TransactionBody body = [&order_id, &quantities, &reservation, now](Transaction& tx) {
        return reserve_in(tx, order_id, *quantities, now, reservation);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (done) co_return std::move(reservation.holds);
    if (done.error().code != not_reserved().code) co_return done.error();

    // Also when something seems to be missing: another call for this order may have taken it.
    auto earlier = co_await store::find_holds(services.database, std::move(order_id), deadline);
    if (!earlier) co_return earlier.error();
    if (earlier->status == store::ReservationStatus::none) co_return refusal(lines, reservation);
    if (earlier->status == store::ReservationStatus::released)
        co_return conflict("order_released", "the order was released and takes no more stock");
    co_return std::move(earlier->products);
}

}  // namespace souk::product::app
