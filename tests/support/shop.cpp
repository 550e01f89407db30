#include "shop.hpp"

#include "base/system_clock.hpp"
#include "security/tokens.hpp"
#include "souk/id.hpp"

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace souk::test {
namespace {

constexpr std::chrono::milliseconds look_again{20};
constexpr std::chrono::seconds settle_limit{90};
constexpr std::chrono::hours token_lifetime{1};
constexpr std::size_t import_batch = 500;

std::vector<std::string> with_short_waits(std::vector<std::string> args) {
    std::vector<std::string> all = {
        "--set",
        "modules.payment.step_timeout=1s",
        "--set",
        "modules.order.intent_lease=2s",
        "--set",
        "modules.order.sweep_every=1s",
        "--set",
        "gateway.browse_per_minute=1000000",
        "--set",
        "gateway.checkout_per_minute=1000000",
        "--set",
        "http.access_log=false"};
    all.insert(all.end(), args.begin(), args.end());
    return all;
}

void expect(const http::Response& response, int status, std::string_view what) {
    if (response.status == status) return;
    throw std::runtime_error(
        std::string(what) + ": " + std::to_string(response.status) + " " + response.body
    );
}

json::object to_json(const Article& article) {
    json::object out;
    out["sku"] = article.sku;
    out["name"] = "Article " + article.sku;
    out["currency"] = "GBP";
    out["unit_amount_decimal"] = article.unit_amount_decimal;
    out["stock"] = article.stock;
    return out;
}

/// Order id → lines of that kind in the provider's own file.
std::map<std::string, int> count_in_provider_log(
    const std::filesystem::path& files, std::string_view operation
) {
    std::ifstream in(files / "provider.log");
    std::map<std::string, int> out;
    for (std::string line; std::getline(in, line);) {
        const auto entry = json::parse(line);
        if (!entry) continue;  // cut by a kill; the provider drops it too
        if (entry->at("op").as_string() == operation)
            ++out[std::string(entry->at("order").as_string())];
    }
    return out;
}

}  // namespace

json::value parse(const http::Response& response) {
    auto parsed = json::parse(response.body);
    if (!parsed)
        throw std::runtime_error(
            "no JSON: " + std::to_string(response.status) + " " + response.body
        );
    return std::move(*parsed);
}

bool eventually(std::chrono::seconds limit, const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(look_again);
    }
    return true;
}

std::string Wish::to_json() const {
    json::object item;
    item["product_id"] = product_id;
    item["quantity"] = quantity;
    json::array items;
    items.push_back(std::move(item));
    json::object payment;
    payment["token"] = payment_token;
    json::object out;
    out["items"] = std::move(items);
    out["payment"] = std::move(payment);
    return json::serialize(out);
}

Shop::Shop(std::vector<std::string> args) : process_(with_short_waits(std::move(args))) {}

Shop::Shop(InParts parts, std::vector<std::string> args)
    : process_(parts, with_short_waits(std::move(args))) {}

Shop::Shop(Environment stack, std::vector<std::string> args)
    : process_(std::move(stack), with_short_waits(std::move(args))) {}

Shop::Shop(ReplicaOf other, std::vector<std::string> args)
    : process_(other, with_short_waits(std::move(args))) {}

SplitShop& Shop::parts() const {
    if (process_.parts() == nullptr) throw std::logic_error("this shop is one process");
    return *process_.parts();
}

void Shop::start(Environment environment) {
    process_.set_environment(std::move(environment));
    process_.start();
}

std::string Shop::token(const std::string& subject, const std::string& role) const {
    const auto file = process_.files("user") / "signing.key";
    if (!std::filesystem::exists(file)) throw std::runtime_error("no signing key yet");
    const auto key = security::SigningKeyPair::load_or_create(file);
    if (!key) throw std::runtime_error(key.error().detail);
    const Timestamp now = base::system_clock().now();
    security::AccessClaims claims;
    std::vector<std::string> roles(1, role);
    claims.identity = Identity(subject, std::move(roles), make_id("ses", now));
    claims.issued_at = now;
    claims.expires_at = now + token_lifetime;
    return security::issue_access_token(*key, claims);
}

std::vector<std::string> Shop::add_customers(std::size_t count) const {
    std::vector<std::string> ids;
    for (std::size_t at = 0; at < count; at += import_batch) {
        json::array customers;
        for (std::size_t i = at; i < std::min(count, at + import_batch); ++i) {
            json::object customer;
            customer["external_ref"] = std::to_string(i);
            customer["name"] = "Customer " + std::to_string(i);
            customer["email"] = "customer-" + std::to_string(i) + "@shop.example";
            customers.push_back(std::move(customer));
        }
        json::object body;
        body["source"] = "test";
        body["customers"] = std::move(customers);
        const auto answer =
            process_.post("/api/users/import", json::serialize(body), headers(admin_token()));
        expect(answer, 200, "importing customers");
        const json::value parsed = parse(answer);
        for (const json::value& row : parsed.at("data").as_array())
            ids.emplace_back(row.at("id").as_string());
    }
    return ids;
}

std::map<std::string, std::string> Shop::add_products(const std::vector<Article>& articles) const {
    json::array items;
    for (const Article& article : articles)
        items.push_back(to_json(article));
    json::object body;
    body["items"] = std::move(items);
    expect(
        process_.post("/api/products/import", json::serialize(body), headers(admin_token())),
        200,
        "importing products"
    );
    const json::value page = parse(process_.get("/api/products?limit=100"));
    std::map<std::string, std::string> ids;
    for (const json::value& product : page.at("data").as_array())
        ids.emplace(product.at("sku").as_string(), product.at("id").as_string());
    return ids;
}

http::Headers Shop::headers(const std::string& token, const std::string& idempotency_key) {
    http::Headers out;
    out.set("Content-Type", "application/json");
    out.set("Authorization", "Bearer " + token);
    if (!idempotency_key.empty()) out.set("Idempotency-Key", idempotency_key);
    return out;
}

Outgoing Shop::order_request(const std::string& token, const std::string& key, const Wish& wish) {
    return Outgoing(http::Method::post, "/api/orders", wish.to_json(), headers(token, key));
}

http::Response Shop::place(const std::string& token, const std::string& key, const Wish& wish)
    const {
    return process_.post("/api/orders", wish.to_json(), headers(token, key));
}

json::value Shop::order(const std::string& token, const std::string& id) const {
    const auto answer = process_.get("/api/orders/" + id, headers(token));
    expect(answer, 200, id);
    return parse(answer);
}

json::value Shop::settled_order(const std::string& token, const std::string& id) const {
    json::value last;
    const bool settled = eventually(settle_limit, [&] {
        last = order(token, id);
        return last.at("status").as_string() != "pending";
    });
    if (!settled) throw std::runtime_error(id + " is still pending:\n" + process_.log());
    return last;
}

std::int64_t Shop::stock(const std::string& product_id) const {
    // A browser's answer may come from a cache; staff read afresh.
    const auto answer = process_.get("/api/products/" + product_id, headers(admin_token()));
    expect(answer, 200, product_id);
    return parse(answer).at("stock").as_int64();
}

json::value Shop::verify(int settle_s) const {
    const auto ran = process_.run("verify", {"--settle", std::to_string(settle_s), "--json"});
    auto verdict = json::parse(ran.out);
    if (!verdict || !verdict->is_object())
        throw std::runtime_error("souk verify: " + std::to_string(ran.code) + " " + ran.out);
    return std::move(*verdict);
}

std::map<std::string, int> Shop::captures() const {
    return count_in_provider_log(process_.files("payment"), "capture");
}

std::map<std::string, int> Shop::refunds() const {
    return count_in_provider_log(process_.files("payment"), "refund");
}

std::vector<std::string> Shop::mails() const {
    std::vector<std::string> out;
    const auto folder = process_.files("notification") / "outbox";
    if (!std::filesystem::exists(folder)) return out;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".eml") continue;
        std::ifstream in(entry.path(), std::ios::binary);
        out.emplace_back((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    }
    return out;
}

std::string faults_of(const json::value& verdict) {
    std::string out;
    for (const json::value& fault : verdict.at("violations").as_array())
        out += std::string(fault.as_string()) + '\n';
    for (const json::value& open : verdict.at("in_flight").as_array())
        out += "under way: " + std::string(open.as_string()) + '\n';
    return out;
}

}  // namespace souk::test
