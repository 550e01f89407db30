#include "app/reserve.hpp"

#include "domain/product.hpp"
#include "store/stock.hpp"

namespace souk::product::app {

namespace {

using Reserved = std::vector<ReservedProduct>;

struct Request {
    Request(std::string order_id, std::vector<ReserveLine> lines, domain::Quantities quantities)
        : order_id(std::move(order_id))
        , lines(std::move(lines))
        , quantities(std::move(quantities)) {}
    std::int64_t units() const {
        std::int64_t sum = 0;
        for (const auto& [id, quantity] : quantities)
            sum += quantity;
        return sum;
    }
    std::string order_id;
    std::vector<ReserveLine> lines;
    domain::Quantities quantities;
};

/// The order was here before.
Task<Result<void>> answer_again(Transaction& tx, const Request& request, Reserved& out) {
    auto status = co_await store::find_reservation(tx, request.order_id);
    if (!status) co_return status.error();
    if (*status == store::ReservationStatus::released)
        co_return conflict("order_released", "the order was released and takes no more stock");
    auto holds = co_await store::read_holds(tx, request.order_id);
    if (!holds) co_return holds.error();
    out = std::move(*holds);
    co_return Result<void>();
}

/// Which of the lines are at fault, and why. Only on the way to a rollback.
Task<Result<void>> refuse(
    Transaction& tx, const Request& request, std::vector<std::string> faulty
) {
    std::vector<std::string> all;
    for (const auto& [id, quantity] : request.quantities)
        all.push_back(id);
    auto unknown = co_await store::unknown_products(tx, std::move(all));
    if (!unknown) co_return unknown.error();
    if (!unknown->empty()) {
        auto fields = domain::faults_of_lines(
            request.lines, *unknown, "unknown_product", "no such product is for sale"
        );
        co_return invalid("unknown_product", "some products are not for sale, see errors")
            .with_fields(std::move(fields));
    }
    auto fields =
        domain::faults_of_lines(request.lines, faulty, "out_of_stock", "fewer units are available");
    co_return conflict("out_of_stock", "some products are out of stock, see errors")
        .with_fields(std::move(fields));
}

Task<Result<void>> reserve_once(
    Transaction& tx, const Request& request, Timestamp now, Reserved& out
) {
    auto opened = co_await store::insert_reservation(
        tx, request.order_id, store::ReservationStatus::held, request.units(), now
    );
    if (!opened) co_return opened.error();
    if (!*opened) co_return co_await answer_again(tx, request, out);

    auto unpriced = co_await store::insert_holds(tx, request.order_id, request.quantities);
    if (!unpriced) co_return unpriced.error();
    if (!unpriced->empty()) co_return co_await refuse(tx, request, std::move(*unpriced));
    auto holds = co_await store::read_holds(tx, request.order_id);
    if (!holds) co_return holds.error();
    out = std::move(*holds);

    // Last, since from here to the commit other buyers of the same products wait.
    auto missing = co_await store::take_units(tx, request.quantities);
    if (!missing) co_return missing.error();
    if (!missing->empty()) co_return co_await refuse(tx, request, std::move(*missing));
    co_return Result<void>();
}

}  // namespace

Task<Result<std::vector<ReservedProduct>>> reserve(
    Services& services, std::string order_id, std::vector<ReserveLine> lines, Deadline deadline
) {
    auto quantities = domain::sum_quantities(lines);
    if (!quantities) co_return quantities.error();
    const Request request(std::move(order_id), std::move(lines), std::move(*quantities));
    const Timestamp now = services.clock.now();
    Reserved reserved;
    TransactionBody body = [&request, &reserved, now](Transaction& tx) {
        return reserve_once(tx, request, now, reserved);
    };
    auto done = co_await services.database.transact(std::move(body), deadline);
    if (!done) co_return done.error();
    co_return reserved;
}

}  // namespace souk::product::app
