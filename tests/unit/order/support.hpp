// The order module with the real product module and a payment module that does as it is told.
// Events move only when the test says so.
#pragma once

#include "souk/failpoint.hpp"
#include "souk/order/api.hpp"
#include "souk/payment/api.hpp"
#include "souk/product/api.hpp"
#include "unit/order/order_process.hpp"
#include "unit/product/module_world.hpp"

#include <catch2/catch.hpp>

namespace souk::product {
const ModuleInfo& module();
}

namespace souk::test {

class FakePayment final : public payment::Api {
public:
    Task<Result<payment::VoidOutcome>> void_order(CallContext, std::string order_id) override {
        voided.push_back(std::move(order_id));
        const auto answer = outcome;
        if (before_answer) co_await before_answer();
        co_return answer;
    }
    std::function<Task<void>()> before_answer;
    payment::VoidOutcome outcome = payment::VoidOutcome::fenced;
    std::vector<std::string> voided;
};

/// Stands before the real product module: can be away.
class ProductPeer final : public product::Api {
public:
    explicit ProductPeer(product::Api& real) : real_(real) {}
    Task<Result<std::vector<product::ReservedProduct>>> reserve(
        CallContext ctx, std::string order_id, std::vector<product::ReserveLine> lines
    ) override {
        auto result = co_await real_.reserve(ctx, std::move(order_id), std::move(lines));
        if (after_reserve) co_await after_reserve();
        // The worst kind of away: it did what it was asked, and nobody hears of it.
        if (away) co_return unavailable("product_away", "the product module is away");
        co_return result;
    }
    Task<Result<void>> release(CallContext ctx, std::string order_id) override {
        if (away) co_return unavailable("product_away", "the product module is away");
        ++released[order_id];
        co_return co_await real_.release(ctx, std::move(order_id));
    }
    bool away = false;
    std::function<Task<void>()> after_reserve;
    std::map<std::string, int> released;

private:
    product::Api& real_;
};

/// Disarms on the way out.
struct Armed {
    explicit Armed(std::string name, std::string_view action = "error") : name(std::move(name)) {
        failpoint::arm(this->name, action);
    }
    ~Armed() { failpoint::arm(name, "off"); }
    Armed(const Armed&) = delete;
    Armed& operator=(const Armed&) = delete;
    std::string name;
};

inline constexpr seconds lease{30};
inline constexpr seconds sweep_every{5};

class OrderWorld : public Shop {
public:
    explicit OrderWorld(std::size_t replicas = 1)
        : products(*this, product::module(), {{"hold_alarm_age", "15m"}})
        , product_peer(*static_cast<product::Api*>(peers.find("product")))
        , store_(order::module(), clock, replicas)
        , orders(*this, store_.of(0), peers) {
        peers.provide("product", static_cast<product::Api*>(&product_peer));
        peers.provide("payment", static_cast<payment::Api*>(&payment));
        if (replicas > 1) {
            table_of_second_ = peers;
            second.emplace(*this, store_.of(1), table_of_second_);
        }
        orders.start();
        if (second) second->start();
    }
    ~OrderWorld() {
        orders.stop();
        if (second) second->stop();
    }

    std::string add_product(
        const std::string& sku, std::int64_t stock, const std::string& minor = "255"
    ) {
        const Answer answer = products.post(
            "/api/products/import",
            "",
            admin(),
            fmt::format(
                R"({{"items":[{{"sku":"{}","name":"A {}","currency":"GBP",)"
                R"("unit_amount_decimal":"{}","stock":{}}}]}})",
                sku,
                sku,
                minor,
                stock
            )
        );
        REQUIRE(answer.status == 200);
        return std::string(answer.body.at("data").at(0).at("id").as_string());
    }

    static std::string body(
        const std::string& product_id,
        std::int64_t quantity,
        const std::string& token = "tok_approve"
    ) {
        return fmt::format(
            R"({{"items":[{{"product_id":"{}","quantity":{}}}],"payment":{{"token":"{}"}}}})",
            product_id,
            quantity,
            token
        );
    }

    Task<Answer> placing(std::string key, std::string text, Identity who = customer()) {
        http::Headers headers;
        headers.add("Idempotency-Key", key);
        return orders.call(
            http::Method::post,
            "/api/orders",
            "",
            std::move(who),
            std::move(text),
            std::move(headers)
        );
    }
    Answer place(std::string key, std::string text, Identity who = customer()) {
        return run(placing(std::move(key), std::move(text), std::move(who)));
    }
    Answer with_key(
        std::string pattern, std::string target, std::string key, std::string text, Identity who
    ) {
        http::Headers headers;
        headers.add("Idempotency-Key", key);
        return run(orders.call(
            http::Method::post,
            std::move(pattern),
            std::move(target),
            std::move(who),
            std::move(text),
            std::move(headers)
        ));
    }
    Answer cancel(std::string id, std::string key, Identity who = customer()) {
        return with_key(
            "/api/orders/{id}/cancel", std::move(id), std::move(key), "", std::move(who)
        );
    }
    Answer import(std::string key, std::string text) {
        return with_key("/api/orders/import", "", std::move(key), std::move(text), importer());
    }
    static Identity importer() { return Identity("usr_importer", {"importer"}, "ses_9"); }

    /// Moves time on and waits until those that were woken by it sleep again.
    void advance(microseconds by) {
        clock.advance(by);
        until([&] { return orders.asleep() && (!second || second->asleep()); });
    }

    Result<void> captured(const std::string& order_id) {
        return orders.deliver(payment_event("payment.captured", order_id));
    }
    Result<void> declined(const std::string& order_id) {
        return orders.deliver(payment_event("payment.declined", order_id));
    }
    Result<void> refunded(const std::string& order_id) {
        return orders.deliver(payment_event("payment.refunded", order_id));
    }
    static Event payment_event(std::string type, const std::string& order_id) {
        return Event(
            std::move(type),
            "pay_1",
            1,
            fmt::format(R"({{"order_id":"{}","payment_id":"pay_1"}})", order_id)
        );
    }

    /// What the order module announced since the last call, handed on to product:
    /// "order.placed@1 order.paid@2".
    std::string relay() {
        std::string all;
        for (const Event& event : orders.take_events()) {
            REQUIRE(products.deliver(event));
            all += fmt::format("{}{}@{}", all.empty() ? "" : " ", event.type, event.version);
        }
        return all;
    }

    /// "received/available/held/sold"
    std::string stock(const std::string& product_id) {
        return products.text(fmt::format(
            "SELECT received || '/' || available || '/' || held || '/' || sold FROM stock "
            "WHERE product_id = '{}'",
            product_id
        ));
    }
    std::string status(const std::string& id) {
        return orders.text(fmt::format(
            "SELECT status || CASE WHEN cancel_reason = '' THEN '' ELSE ':' || cancel_reason END "
            "FROM orders WHERE id = '{}'",
            id
        ));
    }
    std::int64_t order_count() { return orders.number("SELECT COUNT(*) FROM orders"); }
    std::string intent_order() { return orders.text("SELECT order_id FROM intents"); }

    ModuleWorld products;
    ProductPeer product_peer;
    FakePayment payment;

private:
    ModuleStore store_;
    PeerTable table_of_second_;

public:
    OrderProcess orders;
    std::optional<OrderProcess> second;
};

}  // namespace souk::test
