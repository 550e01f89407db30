// What replicas of the module do to each other. On SQLite the same cases run one after another.
#include "app/change_stock.hpp"
#include "app/import_products.hpp"
#include "app/reserve.hpp"
#include "app/settle.hpp"
#include "store/catalogue.hpp"
#include "unit/product/replicas.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

namespace souk::product {
const ModuleInfo& module();
}

using namespace souk;
using namespace souk::test;
namespace app = souk::product::app;
namespace domain = souk::product::domain;

namespace {

using Lines = std::vector<product::ReserveLine>;
using Reserved = Result<std::vector<product::ReservedProduct>>;

class Warehouse : public Replicas {
public:
    Warehouse() : Replicas(product::module().migrations) {
        for (std::size_t i = 0; i < count; ++i) {
            services_.push_back(
                std::make_unique<app::Services>((*this)[i], base::system_clock(), Logger("test"))
            );
            if (!on_postgres()) continue;
            app::Services& services = *services_.back();
            reservations_.push_back(std::make_unique<app::Reservations>(
                context.get_executor(),
                1,
                64,
                [&services](std::vector<product::store::Wish> wishes) {
                    return app::reserve_together(services, std::move(wishes));
                }
            ));
            services.reservations = reservations_.back().get();
        }
    }
    app::Services& at(std::size_t i) { return *services_[i % count]; }

    /// `n` products with `stock` units each; their ids in ascending order.
    std::vector<std::string> stock_up(int n, std::int64_t stock) {
        auto outcome = run(app::import_products(at(0), catalogue(n, stock, "A"), never)).value();
        std::vector<std::string> ids;
        for (const auto& product : outcome.products)
            ids.push_back(product.id);
        std::sort(ids.begin(), ids.end());
        return ids;
    }
    static std::vector<domain::Product> catalogue(int n, std::int64_t stock, std::string name) {
        std::vector<domain::Product> products;
        for (int i = 0; i < n; ++i) {
            domain::Product product(Currency::gbp());
            product.sku = fmt::format("S{:03}", i);
            product.name = name;
            product.price = UnitPrice::from_minor(100);
            product.available = stock;
            products.push_back(std::move(product));
        }
        return products;
    }

    Task<Reserved> reserve(std::size_t replica, std::string order, Lines lines) {
        return app::reserve(at(replica), std::move(order), std::move(lines), never);
    }
    Task<Result<void>> release(std::size_t replica, std::string order) {
        return app::release(at(replica), std::move(order), never);
    }
    /// As the bus does it: all in one transaction, in the order of their events.
    Task<Result<void>> settle(std::size_t replica, std::vector<Event> events) {
        app::Services& services = at(replica);
        TransactionBody body = [&services, events = std::move(events)](Transaction& tx) {
            return handle_all(services, tx, events);
        };
        return services.database.transact(std::move(body), never);
    }
    /// "received/available/held/sold", all products together.
    std::string stock() {
        const Rows rows =
            sql("SELECT CAST(SUM(received) AS BIGINT), CAST(SUM(available) AS BIGINT), "
                "CAST(SUM(held) AS BIGINT), CAST(SUM(sold) AS BIGINT) FROM stock");
        return fmt::format(
            "{}/{}/{}/{}",
            rows[0].integer(0),
            rows[0].integer(1),
            rows[0].integer(2),
            rows[0].integer(3)
        );
    }

    const Deadline never = Deadline::never();

private:
    static Task<Result<void>> handle_all(
        app::Services& services, Transaction& tx, const std::vector<Event>& events
    ) {
        for (const Event& event : events) {
            const bool paid = event.type == "order.paid";
            Result<void> handled = Result<void>();
            if (paid) handled = co_await app::on_orders_paid(services, tx, std::span(&event, 1));
            if (!paid) handled = co_await app::on_order_cancelled(services, tx, event);
            if (!handled) co_return handled;
        }
        co_return Result<void>();
    }

    std::vector<std::unique_ptr<app::Services>> services_;
    std::vector<std::unique_ptr<app::Reservations>> reservations_;
};

std::string order_id(int i) {
    return fmt::format("ord_{:03}", i);
}

}  // namespace

TEST_CASE("replicas sell the last units once, whatever the order of the lines") {
    Warehouse shop;
    const auto ids = shop.stock_up(3, 10);
    std::vector<Task<Reserved>> buyers;
    for (int i = 0; i < 50; ++i) {
        Lines lines{{ids[0], 1}, {ids[1], 1}, {ids[2], 1}};
        std::rotate(lines.begin(), lines.begin() + i % 3, lines.end());
        buyers.push_back(shop.reserve(static_cast<std::size_t>(i), order_id(i), lines));
    }
    int won = 0;
    int told = 0;
    for (const Reserved& result : shop.run_all(std::move(buyers))) {
        won += result.has_value();
        told += result.has_error() && result.error().code == "out_of_stock";
    }
    CHECK(won == 10);
    CHECK(told == 40);
    CHECK(shop.stock() == "30/0/30/0");
    CHECK(shop.number("SELECT COUNT(*) FROM reservations") == 10);
    CHECK(shop.number("SELECT COUNT(*) FROM holds") == 30);
    CHECK(shop.reruns() == 0);
}

TEST_CASE("one order that many replicas reserve at once is reserved once, with one answer") {
    Warehouse shop;
    const auto ids = shop.stock_up(2, 5);
    const Lines lines{{ids[1], 2}, {ids[0], 2}};
    std::vector<Task<Reserved>> tries;
    for (std::size_t i = 0; i < 20; ++i)
        tries.push_back(shop.reserve(i, "ord_1", lines));
    for (const Reserved& result : shop.run_all(std::move(tries))) {
        REQUIRE(result);
        REQUIRE(result->size() == 2);
        CHECK(result->at(0).product_id == ids[0]);
        CHECK(result->at(1).sku == "S001");
    }
    CHECK(shop.stock() == "10/6/4/0");

    // As often refused: every try finds out for itself.
    std::vector<Task<Reserved>> refused;
    for (std::size_t i = 0; i < 8; ++i)
        refused.push_back(shop.reserve(i, "ord_2", Lines{{ids[0], 1}, {ids[1], 9}}));
    for (const Reserved& result : shop.run_all(std::move(refused)))
        CHECK((result.has_error() && result.error().code == "out_of_stock"));
    CHECK(shop.stock() == "10/6/4/0");
}

TEST_CASE("a release beside a late reservation leaves nothing held") {
    Warehouse shop;
    const auto ids = shop.stock_up(3, 100);
    constexpr int orders = 30;
    std::vector<Task<Result<void>>> tasks;
    const auto late = [&](std::size_t replica, std::string order) -> Task<Result<void>> {
        Lines lines{{ids[2], 1}, {ids[0], 2}, {ids[1], 1}};
        auto reserved = co_await shop.reserve(replica, std::move(order), std::move(lines));
        if (reserved) co_return Result<void>();
        co_return reserved.error();
    };
    for (int i = 0; i < orders; ++i) {
        const auto replica = static_cast<std::size_t>(i);
        const std::vector<Event> cancelled{Event("order.cancelled", order_id(i), 2, "{}")};
        tasks.push_back(late(replica, order_id(i)));
        tasks.push_back(shop.release(replica + 1, order_id(i)));
        tasks.push_back(late(replica + 2, order_id(i)));
        tasks.push_back(shop.settle(replica + 3, cancelled));
    }
    for (const Result<void>& result : shop.run_all(std::move(tasks)))
        if (!result) CHECK(result.error().code == "order_released");
    CHECK(shop.stock() == "300/300/0/0");
    CHECK(shop.number("SELECT COUNT(*) FROM reservations WHERE status = 'released'") == orders);
    CHECK(shop.number("SELECT COUNT(*) FROM reservations WHERE status = 'held'") == 0);
    CHECK(shop.reruns() == 0);
}

TEST_CASE("orders that name the same products in opposite orders never wait in a circle") {
    Warehouse shop;
    constexpr int products = 10;
    constexpr int orders = 60;
    const auto ids = shop.stock_up(products, 40);
    std::vector<Task<Reserved>> tasks;
    for (int i = 0; i < orders; ++i) {
        Lines lines;
        for (const std::string& id : ids)
            lines.emplace_back(id, 1);
        if (i % 2 == 1) std::reverse(lines.begin(), lines.end());
        if (i % 3 == 2) lines.front().quantity = 41;  // more than there ever was
        tasks.push_back(shop.reserve(static_cast<std::size_t>(i), order_id(i), std::move(lines)));
    }
    int placed = 0;
    for (const Reserved& result : shop.run_all(std::move(tasks))) {
        if (!result) CHECK(result.error().code == "out_of_stock");
        if (result) CHECK(result->size() == products);
        if (result) ++placed;
    }
    CHECK(placed == 40);
    CHECK(shop.stock() == "400/0/400/0");
    // What was refused has left nothing behind.
    CHECK(shop.number("SELECT COUNT(*) FROM reservations") == placed);
    CHECK(shop.number("SELECT COUNT(*) FROM holds") == placed * products);
    CHECK(shop.reruns() == 0);
}

TEST_CASE("batches of events and reservations do not wait for each other in a circle") {
    Warehouse shop;
    constexpr int products = 12;
    constexpr int orders = 48;
    const auto ids = shop.stock_up(products, 1000);
    // Of one product each, so that the batch alone decides in which order stock would be locked.
    for (int i = 0; i < orders; ++i)
        REQUIRE(shop.run(shop.reserve(0, order_id(i), Lines{{ids[i % products], 1}})));

    std::vector<Task<Result<void>>> tasks;
    const auto buy = [&](std::size_t replica, int order) -> Task<Result<void>> {
        Lines all;
        for (const std::string& id : ids)
            all.emplace_back(id, 1);
        auto reserved = co_await shop.reserve(replica, order_id(order), std::move(all));
        if (reserved) co_return Result<void>();
        co_return reserved.error();
    };
    for (int batch = 0; batch < 4; ++batch) {
        std::vector<Event> events;  // from the last product to the first
        for (int i = (batch + 1) * products - 1; i >= batch * products; --i)
            events.emplace_back(i % 2 ? "order.paid" : "order.cancelled", order_id(i), 2, "{}");
        tasks.push_back(shop.settle(static_cast<std::size_t>(batch), std::move(events)));
        for (int i = 0; i < 10; ++i)
            tasks.push_back(buy(static_cast<std::size_t>(i), 1000 + batch * 10 + i));
    }
    for (const Result<void>& result : shop.run_all(std::move(tasks)))
        CHECK(result);
    CHECK(shop.stock() == "12000/11496/480/24");
    CHECK(shop.reruns() == 0);
}

TEST_CASE("replicas import the same products in opposite orders and need not run again") {
    Warehouse shop;
    constexpr int products = 100;
    shop.stock_up(products, 1);
    for (int round = 2; round < 6; ++round) {
        std::vector<Task<Result<app::ImportOutcome>>> imports;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::string name = fmt::format("round {} of {}", round, i);
            auto catalogue = Warehouse::catalogue(products, round, name);
            if (i % 2 == 1) std::reverse(catalogue.begin(), catalogue.end());
            imports.push_back(app::import_products(shop.at(i), std::move(catalogue), shop.never));
        }
        for (const auto& outcome : shop.run_all(std::move(imports))) {
            REQUIRE(outcome);
            CHECK(outcome->updated == products);
        }
    }
    CHECK(shop.stock() == "500/500/0/0");
    CHECK(shop.number("SELECT COUNT(*) FROM (SELECT DISTINCT name FROM products) AS names") == 1);
    CHECK(shop.reruns() == 0);
}

TEST_CASE("replicas that import new products at once make each of them once") {
    Warehouse shop;
    std::vector<Task<Result<app::ImportOutcome>>> imports;
    for (std::size_t i = 0; i < 4; ++i) {
        auto catalogue = Warehouse::catalogue(50, 7, "A");
        if (i % 2 == 1) std::reverse(catalogue.begin(), catalogue.end());
        imports.push_back(app::import_products(shop.at(i), std::move(catalogue), shop.never));
    }
    std::int64_t created = 0;
    std::set<std::string> ids;
    for (const auto& outcome : shop.run_all(std::move(imports))) {
        REQUIRE(outcome);
        created += outcome->created;
        for (const auto& product : outcome->products)
            ids.insert(product.sku + product.id);
    }
    CHECK(created == 50);
    CHECK(ids.size() == 50);
    CHECK(shop.stock() == "350/350/0/0");
}

TEST_CASE("a stock change that replicas take at once under one key happens once") {
    Warehouse shop;
    const auto ids = shop.stock_up(1, 5);
    app::StockChange change;
    change.caller = "usr_admin";
    change.key = "k1";
    change.product_id = ids[0];
    change.body = R"({"delta":3})";
    change.delta = 3;
    const auto render = [](const std::string&, const domain::Stock& stock) {
        return std::to_string(stock.available);
    };
    std::vector<Task<Result<app::StockAnswer>>> calls;
    for (std::size_t i = 0; i < 20; ++i)
        calls.push_back(app::change_stock(shop.at(i), change, render, shop.never));
    int fresh = 0;
    for (const auto& answer : shop.run_all(std::move(calls))) {
        REQUIRE(answer);
        CHECK(answer->body == "8");
        fresh += !answer->replayed;
    }
    CHECK(fresh == 1);
    CHECK(shop.stock() == "8/8/0/0");
}

TEST_CASE("products are listed, paged and locked byte by byte in any locale") {
    Warehouse shop;
    CHECK(shop.columns_in_locale_order() == 0);
    for (const std::string_view id : {"prd_B", "prd_a", "prd_-", "prd_Z", "prd_é", "prd_1"}) {
        domain::Product product(Currency::gbp());
        product.id = id;
        product.sku = id;
        product.price = UnitPrice::from_minor(100);
        TransactionBody body = [&product](Transaction& tx) -> Task<Result<void>> {
            auto done = co_await product::store::insert_product(tx, product);
            if (!done) co_return done;
            Rows ignored;
            static constexpr Statement insert{
                "test.stock", "INSERT INTO stock VALUES ($1, 0, 0, 0, 0)"};
            auto params = souk::bind(product.id);
            auto stocked = co_await tx.execute(insert, std::move(params));
            if (!stocked) co_return stocked.error();
            co_return Result<void>();
        };
        shop.run(shop[0].transact(std::move(body), shop.never)).value();
    }
    std::vector<std::string> seen;
    product::store::ListFilter filter;
    filter.limit = 1;
    for (;;) {
        auto page = shop.run(product::store::list_products(
            shop[0], filter, product::store::Freshness::current, shop.never
        ));
        if (page.value().empty()) break;
        const domain::Product& last = page->back();
        seen.push_back(last.id);
        filter.after = product::store::Position(to_micros(last.created_at), last.id);
        REQUIRE(seen.size() < 10);
    }
    CHECK(seen == std::vector<std::string>{"prd_é", "prd_a", "prd_Z", "prd_B", "prd_1", "prd_-"});
}
