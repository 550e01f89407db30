// The judge: one pure function over what the modules' audit routes say. It knows every promise that
// can be read from the books (src/README.md lists them) and labels what is under way instead of
// failing on it. `souk verify` and the chaos tests use the same function.
#pragma once

#include "souk/json.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace souk::cli {

struct StockRow {
    std::string sku;
    std::int64_t received = 0;
    std::int64_t available = 0;
    std::int64_t held = 0;
    std::int64_t sold = 0;
};

struct OrderRow {
    std::string status;
    std::int64_t amount = 0;
    std::string currency;
    std::map<std::string, std::int64_t> units;  // product id → quantity
};

struct PaymentRow {
    std::string status;
    std::int64_t amount = 0;
    std::string currency;
};

struct ProviderRow {
    std::int64_t captures = 0;
    std::int64_t refunds = 0;
    std::int64_t amount = 0;  // of one capture
};

struct MailRow {
    std::string template_name;
    std::string status;
};

/// Everything that was read, by id. Orders must be read before the rest: what a module knows only
/// grows, so a paid order's capture is visible to a later read.
struct Books {
    std::map<std::string, StockRow> stock;            // product id →
    std::map<std::string, std::string> reservations;  // order id → status
    std::map<std::string, OrderRow> orders;
    std::set<std::string> open_intents;               // order ids without an order yet
    std::map<std::string, PaymentRow> payments;       // order id →
    std::map<std::string, ProviderRow> provider;      // order id →
    std::map<std::string, std::int64_t> ledger_sums;  // currency →
    std::multimap<std::string, MailRow> mails;        // order id →

    /// Adds one row of an audit page; rows of unknown kinds are ignored (versions may roll). Throws
    /// std::invalid_argument when a known kind lacks a member.
    void add(const json::object& row);
};

struct Verdict {
    std::vector<std::string> violations;
    std::vector<std::string> in_flight;  // "ord_...: pending"
    std::map<std::string, std::int64_t> counts;
};

Verdict judge(const Books& books);

}  // namespace souk::cli
