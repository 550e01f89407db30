#include "cli/verify/judge.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace souk::cli {

namespace {

std::string text(const json::object& row, std::string_view name) {
    const json::value* v = row.if_contains(name);
    if (v == nullptr || !v->is_string())
        throw std::invalid_argument(fmt::format("audit row without text '{}'", name));
    return std::string(v->as_string());
}

std::int64_t integer(const json::object& row, std::string_view name) {
    const json::value* v = row.if_contains(name);
    if (v == nullptr || !v->is_int64())
        throw std::invalid_argument(fmt::format("audit row without integer '{}'", name));
    return v->as_int64();
}

OrderRow read_order(const json::object& row) {
    OrderRow order;
    order.status = text(row, "status");
    order.amount = integer(row, "amount");
    order.currency = text(row, "currency");
    for (const json::value& line : row.at("lines").as_array())
        order.units[text(line.as_object(), "product_id")] += integer(line.as_object(), "quantity");
    return order;
}

StockRow read_stock(const json::object& row) {
    StockRow stock;
    stock.sku = text(row, "sku");
    stock.received = integer(row, "received");
    stock.available = integer(row, "available");
    stock.held = integer(row, "held");
    stock.sold = integer(row, "sold");
    return stock;
}

PaymentRow read_payment(const json::object& row) {
    PaymentRow payment;
    payment.status = text(row, "status");
    payment.amount = integer(row, "amount");
    payment.currency = text(row, "currency");
    return payment;
}

ProviderRow read_provider(const json::object& row) {
    ProviderRow provider;
    provider.captures = integer(row, "captures");
    provider.refunds = integer(row, "refunds");
    provider.amount = integer(row, "amount");
    return provider;
}

/// One promise a method; all of them together are the verdict.
class Judge {
public:
    explicit Judge(const Books& books) : books_(books) {}

    Verdict decide() {
        for (const auto& [id, order] : books_.orders)
            judge_order(id, order);
        for (const std::string& id : books_.open_intents)
            verdict_.in_flight.push_back(id + ": intent without an order yet");
        for (const auto& [id, provider] : books_.provider)
            judge_provider(id, provider);
        for (const auto& [id, payment] : books_.payments)
            judge_payment(id, payment);
        for (const auto& [id, status] : books_.reservations)
            judge_reservation(id, status);
        judge_stock();
        for (const auto& [currency, sum] : books_.ledger_sums)
            require(sum == 0, "the ledger sums to {} {} instead of 0", sum, currency);
        count();
        return std::move(verdict_);
    }

private:
    template <class... Ts>
    void require(bool holds, fmt::format_string<Ts...> words, Ts&&... values) {
        if (!holds) verdict_.violations.push_back(fmt::format(words, std::forward<Ts>(values)...));
    }

    void in_flight(const std::string& id, std::string_view what) {
        verdict_.in_flight.push_back(fmt::format("{}: {}", id, what));
    }

    std::string reservation_of(const std::string& id) const {
        const auto found = books_.reservations.find(id);
        return found == books_.reservations.end() ? "none" : found->second;
    }

    std::string payment_of(const std::string& id) const {
        const auto found = books_.payments.find(id);
        return found == books_.payments.end() ? "none" : found->second.status;
    }

    void judge_order(const std::string& id, const OrderRow& order) {
        if (order.status == "paid") return judge_paid(id, order);
        if (order.status == "cancelled") return judge_cancelled(id);
        in_flight(id, order.status);
        const std::string reservation = reservation_of(id);
        require(
            reservation != "none" && reservation != "released",
            "{}: is {} but its hold is {}",
            id,
            order.status,
            reservation
        );
    }

    void judge_paid(const std::string& id, const OrderRow& order) {
        const auto payment = books_.payments.find(id);
        if (payment == books_.payments.end()) {
            require(false, "{}: is paid without a payment", id);
        } else {
            require(
                payment->second.status == "captured",
                "{}: is paid but its payment is {}",
                id,
                payment->second.status
            );
            require(
                payment->second.amount == order.amount &&
                    payment->second.currency == order.currency,
                "{}: is {} {} but {} {} were paid",
                id,
                order.amount,
                order.currency,
                payment->second.amount,
                payment->second.currency
            );
        }
        const auto provider = books_.provider.find(id);
        const std::int64_t captures =
            provider == books_.provider.end() ? 0 : provider->second.captures;
        if (order.amount > 0)
            require(captures == 1, "{}: is paid but the provider captured {} times", id, captures);
        const std::string reservation = reservation_of(id);
        if (reservation == "held")
            in_flight(id, "paid, its hold not committed yet");
        else
            require(reservation == "committed", "{}: is paid but its hold is {}", id, reservation);
        judge_mail(id, "order_paid");
    }

    void judge_cancelled(const std::string& id) {
        const std::string payment = payment_of(id);
        if (payment == "captured") in_flight(id, "cancelled, its refund is not booked yet");
        const auto provider = books_.provider.find(id);
        if (provider != books_.provider.end() &&
            provider->second.captures != provider->second.refunds)
            in_flight(id, "cancelled, the provider has not refunded yet");
        const std::string reservation = reservation_of(id);
        if (reservation == "held")
            in_flight(id, "cancelled, its stock is not back yet");
        else
            require(
                reservation == "released", "{}: is cancelled but its hold is {}", id, reservation
            );
        judge_mail(id, "order_cancelled");
    }

    void judge_mail(const std::string& id, std::string_view expected) {
        const auto [first, last] = books_.mails.equal_range(id);
        std::int64_t found = 0;
        for (auto mail = first; mail != last; ++mail) {
            if (mail->second.template_name != expected) continue;
            ++found;
            if (mail->second.status == "queued") in_flight(id, "its mail is not handed over yet");
        }
        if (found == 0) in_flight(id, "its mail is not written yet");
        require(found <= 1, "{}: {} mails of template {}", id, found, expected);
    }

    void judge_provider(const std::string& id, const ProviderRow& provider) {
        require(
            provider.captures <= 1, "{}: the provider captured {} times", id, provider.captures
        );
        require(
            provider.refunds <= provider.captures,
            "{}: {} refunds of {} captures",
            id,
            provider.refunds,
            provider.captures
        );
        const auto payment = books_.payments.find(id);
        if (payment == books_.payments.end()) {
            require(false, "{}: the provider knows a charge that our payments do not", id);
            return;
        }
        if (payment->second.status == "captured")
            require(
                provider.captures == 1 && provider.amount == payment->second.amount,
                "{}: we booked {}, the provider {} × {}",
                id,
                payment->second.amount,
                provider.captures,
                provider.amount
            );
    }

    void judge_payment(const std::string& id, const PaymentRow& payment) {
        if (payment.status == "captured" && payment.amount > 0)
            require(
                books_.provider.contains(id), "{}: is captured here, unknown to the provider", id
            );
        if (!books_.orders.contains(id))
            in_flight(id, "a payment whose order was not there when orders were read");
    }

    void judge_reservation(const std::string& id, const std::string& status) {
        if (books_.orders.contains(id) || status == "released" || books_.open_intents.contains(id))
            return;
        if (status == "committed")
            require(false, "{}: its hold is committed but there is no such order", id);
        else
            in_flight(id, "a hold without an order");
    }

    /// Units of the orders against the stock columns; exact when nothing is under way.
    void judge_stock() {
        std::map<std::string, std::int64_t> paid;
        std::map<std::string, std::int64_t> pending;
        for (const auto& [id, order] : books_.orders)
            for (const auto& [product, units] : order.units) {
                if (order.status == "paid")
                    paid[product] += units;
                else if (order.status != "cancelled")
                    pending[product] += units;
            }
        const bool quiet = verdict_.in_flight.empty();
        for (const auto& [product, stock] : books_.stock) {
            require(
                stock.available >= 0 && stock.held >= 0 && stock.sold >= 0,
                "{} ({}): negative stock: available {}, held {}, sold {}",
                product,
                stock.sku,
                stock.available,
                stock.held,
                stock.sold
            );
            require(
                stock.received == stock.available + stock.held + stock.sold,
                "{} ({}): received {} ≠ available {} + held {} + sold {}",
                product,
                stock.sku,
                stock.received,
                stock.available,
                stock.held,
                stock.sold
            );
            require(
                paid[product] <= stock.sold + stock.held,
                "{} ({}): {} units in paid orders, {} sold and {} held",
                product,
                stock.sku,
                paid[product],
                stock.sold,
                stock.held
            );
            if (quiet)
                require(
                    stock.sold == paid[product] && stock.held == pending[product],
                    "{} ({}): sold {} and held {}, but orders say {} and {}",
                    product,
                    stock.sku,
                    stock.sold,
                    stock.held,
                    paid[product],
                    pending[product]
                );
        }
        for (const auto& [product, units] : paid)
            require(
                books_.stock.contains(product),
                "{}: {} units sold, but no such product",
                product,
                units
            );
    }

    void count() {
        for (const auto& [id, order] : books_.orders)
            ++verdict_.counts["orders_" + order.status];
        for (const auto& [product, stock] : books_.stock) {
            verdict_.counts["units_available"] += stock.available;
            verdict_.counts["units_held"] += stock.held;
            verdict_.counts["units_sold"] += stock.sold;
        }
        verdict_.counts["products"] = static_cast<std::int64_t>(books_.stock.size());
        verdict_.counts["mails"] = static_cast<std::int64_t>(books_.mails.size());
        for (const auto& [id, provider] : books_.provider)
            verdict_.counts["provider_captures"] += provider.captures;
    }

    const Books& books_;
    Verdict verdict_;
};

}  // namespace

void Books::add(const json::object& row) {
    const std::string kind = text(row, "kind");
    if (kind == "stock")
        stock[text(row, "product_id")] = read_stock(row);
    else if (kind == "reservation")
        reservations[text(row, "order_id")] = text(row, "status");
    else if (kind == "order")
        orders[text(row, "order_id")] = read_order(row);
    else if (kind == "intent")
        open_intents.insert(text(row, "order_id"));
    else if (kind == "payment")
        payments[text(row, "order_id")] = read_payment(row);
    else if (kind == "provider")
        provider[text(row, "order_id")] = read_provider(row);
    else if (kind == "ledger")
        ledger_sums[text(row, "currency")] = integer(row, "sum");
    else if (kind == "mail")
        mails.emplace(text(row, "order_id"), MailRow{text(row, "template"), text(row, "status")});
}

Verdict judge(const Books& books) {
    return Judge(books).decide();
}

}  // namespace souk::cli
