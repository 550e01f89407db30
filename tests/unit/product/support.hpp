// The product module with what its tests ask of it.
#pragma once

#include "souk/product/api.hpp"
#include "unit/product/module_world.hpp"

#include <catch2/catch.hpp>

namespace souk::product {
const ModuleInfo& module();
}

namespace souk::test {

inline SettingsMap product_settings() {
    return {{"hold_alarm_age", "15m"}};
}

class ProductWorld : public Shop, public ModuleWorld {
public:
    ProductWorld()
        : ModuleWorld(static_cast<Shop&>(*this), product::module(), product_settings()) {}
    using Shop::run;

    product::Api& api() { return *static_cast<product::Api*>(peers.find("product")); }

    /// A product with a price of £2.55, and its id.
    std::string add(const std::string& sku, std::int64_t stock, std::int64_t amount = 255) {
        const Answer answer = post("/api/products", "", admin(), new_product(sku, stock, amount));
        REQUIRE(answer.status == 201);
        return answer.member("id");
    }
    static std::string new_product(
        const std::string& sku, std::int64_t stock, std::int64_t amount = 255
    ) {
        return fmt::format(
            R"({{"sku":"{}","name":"A {}","category":"toys",)"
            R"("price":{{"amount":{},"currency":"GBP"}},"stock":{}}})",
            sku,
            sku,
            amount,
            stock
        );
    }

    Result<std::vector<product::ReservedProduct>> reserve(
        std::string order_id, std::vector<product::ReserveLine> lines
    ) {
        const CallContext ctx(Deadline::never());
        return run(api().reserve(ctx, std::move(order_id), std::move(lines)));
    }
    Result<void> release(std::string order_id) {
        const CallContext ctx(Deadline::never());
        return run(api().release(ctx, std::move(order_id)));
    }

    /// "received/available/held/sold"
    std::string stock(const std::string& product_id) {
        return text(fmt::format(
            "SELECT received || '/' || available || '/' || held || '/' || sold FROM stock "
            "WHERE product_id = '{}'",
            product_id
        ));
    }
    std::string reservation(const std::string& order_id) {
        return text(fmt::format("SELECT status FROM reservations WHERE order_id = '{}'", order_id));
    }
    Result<void> paid(const std::string& order_id) {
        return deliver(Event("order.paid", order_id, 2, "{}"));
    }
    Result<void> cancelled(const std::string& order_id) {
        return deliver(Event("order.cancelled", order_id, 2, "{}"));
    }
};

using Lines = std::vector<product::ReserveLine>;

}  // namespace souk::test
