// The payment module with what its tests ask of it; the provider is judged by its own file.
#pragma once

#include "souk/failpoint.hpp"
#include "souk/json.hpp"
#include "souk/payment/api.hpp"
#include "unit/payment/module_harness.hpp"

#include <fmt/format.h>

namespace souk::payment {
const ModuleInfo& module();
}

namespace souk::test {

inline Settings payment_settings(std::string workers = "64") {
    std::map<std::string, std::string, std::less<>> values;
    values["provider"] = "simulated";
    values["workers"] = std::move(workers);
    values["step_timeout"] = "20s";
    return Settings(std::move(values));
}

class PaymentWorld : public ModuleHarness {
public:
    explicit PaymentWorld(std::size_t replicas = 1, Settings settings = payment_settings())
        : ModuleHarness(payment::module(), std::move(settings), replicas) {
        start();
    }

    static Event placed(
        const std::string& order_id, const std::string& token, std::int64_t amount = 1250
    ) {
        json::object data;
        data["order_id"] = order_id;
        data["number"] = "SO-1";
        data["user_id"] = "usr_1";
        data["amount"] = amount;
        data["currency"] = "GBP";
        data["payment_token"] = token;
        return Event("order.placed", order_id, 1, json::serialize(data));
    }
    Result<void> place(
        const std::string& order_id, const std::string& token, std::int64_t amount = 1250
    ) {
        return deliver(placed(order_id, token, amount));
    }

    Task<Result<payment::VoidOutcome>> voiding(std::string order_id, std::size_t by = 0) {
        auto& api = *static_cast<payment::Api*>(replica(by).table.find("payment"));
        const CallContext ctx(Deadline::never());
        return api.void_order(ctx, std::move(order_id));
    }
    payment::VoidOutcome void_order(const std::string& order_id) {
        return run(voiding(order_id)).value();
    }

    std::string status(const std::string& order_id) {
        return text(fmt::format("SELECT status FROM payments WHERE order_id = '{}'", order_id));
    }
    void until_status(
        const std::string& order_id, const std::string& wanted, microseconds step = microseconds(0)
    ) {
        until([&] { return status(order_id) == wanted; }, step);
    }

    /// "payment.captured@1 payment.refunded@2", of one order.
    std::string events(const std::string& order_id) {
        Rows rows = sql("SELECT o.type, o.version, o.data FROM outbox o JOIN payments p "
                        "ON p.id = o.aggregate_id WHERE p.order_id = $1 ORDER BY o.version",
                        bind(order_id))
                        .value();
        std::string all;
        for (std::size_t i = 0; i < rows.size(); ++i)
            all += fmt::format("{}{}@{}", i == 0 ? "" : " ", rows[i].text(0), rows[i].integer(1));
        return all;
    }

    /// How often `op` ("capture", "refund", "decline") stands in the provider's file for an order.
    int provider_count(std::string_view op, const std::string& order_id) {
        int count = 0;
        std::istringstream lines(read_file(folder() / "provider.log"));
        for (std::string line; std::getline(lines, line);) {
            const auto entry = json::parse(line).value().as_object();
            if (entry.at("op").as_string() == std::string(op) &&
                entry.at("order").as_string() == order_id)
                ++count;
        }
        return count;
    }

    std::int64_t ledger_sum() {
        return number("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries");
    }
    std::int64_t balance(const std::string& account, const std::string& order_id) {
        return number(fmt::format(
            "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries "
            "WHERE account = '{}' AND order_id = '{}'",
            account,
            order_id
        ));
    }
};

/// Disarms on the way out.
struct ArmedFailpoint {
    ArmedFailpoint(std::string name, std::string_view action) : name(std::move(name)) {
        failpoint::arm(this->name, action);
    }
    ~ArmedFailpoint() { failpoint::arm(name, "off"); }
    ArmedFailpoint(const ArmedFailpoint&) = delete;
    ArmedFailpoint& operator=(const ArmedFailpoint&) = delete;
    std::string name;
};

}  // namespace souk::test
