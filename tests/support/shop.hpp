// A shop as a test drives it: the process, a catalogue of the test's own, customers whose tokens
// are signed with the shop's own key (so that a thousand of them cost no password hash), and the
// books afterwards. Whatever waits here waits for an event, with a limit, and throws past it.
#pragma once

#include "process.hpp"
#include "send_all.hpp"
#include "souk/json.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

/// Parsed; throws when it is no JSON.
json::value parse(const http::Response& response);

/// Until `holds` does; false when `limit` passed first.
bool eventually(std::chrono::seconds limit, const std::function<bool()>& holds);

struct Article {
    Article(std::string sku, std::int64_t stock, std::string unit_amount_decimal)
        : sku(std::move(sku)), stock(stock), unit_amount_decimal(std::move(unit_amount_decimal)) {}
    std::string sku;
    std::int64_t stock;
    std::string unit_amount_decimal;  // pence
};

/// What an order asks for.
struct Wish {
    Wish(std::string product_id, std::int64_t quantity, std::string payment_token = "tok_approve")
        : product_id(std::move(product_id))
        , quantity(quantity)
        , payment_token(std::move(payment_token)) {}
    std::string to_json() const;
    std::string product_id;
    std::int64_t quantity;
    std::string payment_token;
};

class Shop {
public:
    /// Waits of seconds instead of half minutes, so that a test can sit a crash out, and no limit
    /// on a caller who asks again and again meanwhile; then `args`.
    explicit Shop(std::vector<std::string> args = {});
    Shop(InParts, std::vector<std::string> args);
    /// On servers that the test chose.
    Shop(Environment stack, std::vector<std::string> args);
    Shop(ReplicaOf other, std::vector<std::string> args);

    void start(Environment environment = {});
    SoukProcess& process() { return process_; }
    const SoukProcess& process() const { return process_; }
    /// Its six processes. Throws where it is one.
    SplitShop& parts() const;

    /// An access token for `subject` (a session of its own), as the user module would issue it.
    std::string token(const std::string& subject, const std::string& role = "customer") const;
    std::string admin_token() const { return token("usr_00000000000000000000000000", "admin"); }
    /// Customers without a password; their user ids.
    std::vector<std::string> add_customers(std::size_t count) const;
    /// SKU → product id.
    std::map<std::string, std::string> add_products(const std::vector<Article>& articles) const;

    static http::Headers headers(const std::string& token, const std::string& idempotency_key = {});
    static Outgoing order_request(
        const std::string& token, const std::string& key, const Wish& wish
    );
    http::Response place(const std::string& token, const std::string& key, const Wish& wish) const;
    json::value order(const std::string& token, const std::string& id) const;
    /// The order once it is not pending any more.
    json::value settled_order(const std::string& token, const std::string& id) const;
    std::int64_t stock(const std::string& product_id) const;

    /// `souk verify --settle N --json` beside the server.
    json::value verify(int settle_s = 60) const;
    /// Order id → captures or refunds, from the provider's own file.
    std::map<std::string, int> captures() const;
    std::map<std::string, int> refunds() const;
    /// All mails in the outbox folder.
    std::vector<std::string> mails() const;

private:
    SoukProcess process_;
};

/// Why `verdict` of Shop::verify is no clean one, empty when it is.
std::string faults_of(const json::value& verdict);

}  // namespace souk::test
