// Input of the right form that makes no sense in the trade: sums that overflow, moments that never
// were, prices that are no decimals, stock that is not there, states that do not allow it. Refused
// with a code of its own, and neither an order nor a unit comes of it.
#include "souk/json.hpp"
#include "support/process.hpp"
#include "support/spoiled_body.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

using namespace souk;
using test::exchange_raw;
using test::faults_of_problem;
using test::Operation;
using test::SpoiledBody;
using test::StagedShop;

namespace {

struct Case {
    Case(const char* operation, const char* pointer, std::string raw, int status, const char* code)
        : operation(operation), pointer(pointer), raw(std::move(raw)), status(status), code(code) {}
    const char* operation;
    const char* pointer;  // of the member that gets `raw`
    std::string raw;
    int status;
    const char* code;
};

json::value parse(const http::Response& response) {
    return json::parse(response.body).value();
}

void check_refused(const http::Response& response, int status, std::string_view code) {
    INFO(response.body);
    CHECK(faults_of_problem(response, status) == "");
    if (faults_of_problem(response, status).empty())
        CHECK(std::string(parse(response).at("code").as_string()) == code);
}

std::string repeated(const std::string& element, int times) {
    std::string out = "[" + element;
    for (int i = 1; i < times; ++i)
        out += "," + element;
    return out + "]";
}

std::string line(const std::string& product, std::int64_t quantity, std::string_view more = "") {
    return fmt::format(R"({{"product_id":"{}","quantity":{}{}}})", product, quantity, more);
}

std::vector<Case> senseless_orders(const StagedShop& shop, const std::string& dear_id) {
    constexpr const char* place = "POST /api/orders";
    constexpr const char* items = "/items";
    const std::string& id = shop.product_id;
    const std::string dear = line(dear_id, 1'000'000);  // alone it just fits into 53 bits
    return {
        {place, items, repeated(dear, 2), 400, "amount_too_large"},
        {place, items, repeated(dear, 500), 400, "amount_too_large"},
        {place, items, repeated(line(id, 1'000'000), 2), 409, "out_of_stock"},
        {place, items, repeated(line(id, 1'000'000), 500), 409, "out_of_stock"},
        {place, items, repeated(line(shop.owner.id, 1), 1), 400, "unknown_product"},
        {place,
         items,
         repeated(line("prd_00000000000000000000000000", 1), 1),
         400,
         "unknown_product"},
        {place,
         items,
         "[" + line(id, 1) + "," + line("' OR '1'='1", 1) + "]",
         400,
         "unknown_product"},
        {place, "/payment/token", "\"tok_\"", 400, "validation_failed"},
        {place, "/payment/token", "\"TOK_APPROVE\"", 400, "validation_failed"},
        {place, "/payment/token", "\"tok_approve\\n\"", 400, "validation_failed"},
    };
}

std::vector<Case> senseless_imports() {
    constexpr const char* import = "POST /api/orders/import";
    std::vector<Case> out;
    for (const char* moment :
         {"2011-02-29T00:00:00Z",
          "2011-13-01T00:00:00Z",
          "2011-12-09T24:00:00Z",
          "2011-12-09T12:50:00",
          "2011-12-09",
          "2011-12-09 12:50:00Z",
          "2011-12-09T12:50:00+99:99",
          "-011-12-09T12:50:00Z",
          "0000-01-01T00:00:00+01:00",
          "9999-12-31T23:59:59-01:00",
          "9999-12-31T23:59:59Z",
          "now",
          "1323435000"})
        out.emplace_back(
            import, "/placed_at", fmt::format("\"{}\"", moment), 400, "validation_failed"
        );
    for (const char* price :
         {"-1",
          "+1",
          "-0",
          "1e5",
          "NaN",
          "inf",
          "0x10",
          "1.",
          ".5",
          "1..2",
          " 1",
          "1,5",
          "1_000",
          "0.0000001",
          "9007199254740993",
          "99999999999999999999",
          "\xD9\xA1"})
        out.emplace_back(
            import,
            "/items/0/unit_amount_decimal",
            fmt::format("\"{}\"", price),
            400,
            "validation_failed"
        );
    for (const char* currency : {"USD", "gbp", "XXX", "JPY", "GB "})
        out.emplace_back(
            import, "/currency", fmt::format("\"{}\"", currency), 400, "validation_failed"
        );
    for (const char* customer :
         {"usr_",
          "usr_1",
          "ord_00000000000000000000000000",
          "USR_00000000000000000000000000",
          "usr_00000000000000000000000000 ",
          "usr_UUUUUUUUUUUUUUUUUUUUUUUUUU"})
        out.emplace_back(
            import, "/customer_id", fmt::format("\"{}\"", customer), 400, "validation_failed"
        );
    return out;
}

std::vector<Case> senseless_products() {
    constexpr const char* add = "POST /api/products";
    constexpr const char* import = "POST /api/products/import";
    std::vector<Case> out;
    for (const char* currency : {"XXX", "gbp", "GBp", "   ", "ABC"})
        for (const auto& [name, pointer] :
             {std::pair(add, "/price/currency"), std::pair(import, "/items/0/currency")})
            out.emplace_back(
                name, pointer, fmt::format("\"{}\"", currency), 400, "validation_failed"
            );
    const std::string item = R"({"sku":"TWICE","name":"n","stock":0,"currency":"GBP"})";
    out.emplace_back(import, "/items", repeated(item, 2), 400, "validation_failed");
    return out;
}

std::vector<Case> senseless_accounts() {
    constexpr const char* sign_up = "POST /api/users/register";
    std::vector<Case> out;
    for (const char* email :
         {"x",
          "@",
          "a@b",
          "a@@example.com",
          "a b@example.com",
          "a@example.com\\r\\nBcc: b@c.de",
          "<a@example.com>",
          "a@example.com,b@example.com",
          "a@exa_mple.com",
          "a@-b.com",
          ".a@b.com",
          "a..b@example.com",
          "\xC3\xA9@example.com",
          "a@[127.0.0.1]",
          "\\\"a\\\"@example.com"})
        out.emplace_back(sign_up, "/email", fmt::format("\"{}\"", email), 400, "validation_failed");
    out.emplace_back(
        sign_up, "/password", '"' + std::string(129, 'p') + '"', 400, "validation_failed"
    );
    return out;
}

void check_cases(StagedShop& shop, const std::vector<Case>& cases) {
    for (const Case& each : cases) {
        const SpoiledBody target(shop, shop.operation(each.operation));
        const std::string body = target.with(each.pointer, each.raw);
        INFO(each.operation << " " << each.pointer << ": " << each.raw.substr(0, 200));
        check_refused(target.send(body), each.status, each.code);
    }
}

std::int64_t stock_of(StagedShop& shop, const std::string& product) {
    return parse(shop.process().get("/api/products/" + product)).at("stock").as_int64();
}

http::Response change_stock(StagedShop& shop, std::int64_t delta) {
    const Operation& change = shop.operation("POST /api/products/{id}/stock");
    return shop.send(change, &shop.staff, fmt::format(R"({{"delta":{}}})", delta));
}

void check_stock_limits(StagedShop& shop) {
    const auto before = stock_of(shop, shop.product_id);
    check_refused(change_stock(shop, -before - 1), 409, "insufficient_stock");
    check_refused(change_stock(shop, 1'000'000'000'000), 409, "too_much_stock");
    CHECK(stock_of(shop, shop.product_id) == before);
}

std::string in_capitals(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    return text;
}

void check_states(StagedShop& shop) {
    const Operation& cancel = shop.operation("POST /api/orders/{id}/cancel");
    check_refused(shop.send(cancel, &shop.owner, ""), 409, "already_paid");

    const Operation& sign_up = shop.operation("POST /api/users/register");
    json::value twin = shop.sample_body(sign_up);
    twin.as_object()["email"] = in_capitals(shop.owner.email);
    check_refused(shop.send(sign_up, nullptr, json::serialize(twin)), 409, "email_taken");

    const Operation& add = shop.operation("POST /api/products");
    const std::string product = json::serialize(shop.sample_body(add));
    CHECK(shop.send(add, &shop.staff, product).status == 201);
    check_refused(shop.send(add, &shop.staff, product), 409, "sku_taken");

    const Operation& refresh = shop.operation("POST /api/users/refresh");
    const std::string used = json::serialize(shop.sample_body(refresh));
    CHECK(shop.send(refresh, nullptr, used).status == 200);
    CHECK(faults_of_problem(shop.send(refresh, nullptr, used), 401) == "");
}

void check_preconditions(StagedShop& shop) {
    const Operation& patch = shop.operation("PATCH /api/products/{id}");
    const std::string body = json::serialize(shop.sample_body(patch));
    const auto send = [&](const char* etag) {
        http::Headers headers;
        headers.set("Authorization", "Bearer " + shop.staff.access_token);
        if (etag != nullptr) headers.set("If-Match", etag);
        return test::request(
            patch.method, shop.process().port(), shop.target_of(patch), body, headers
        );
    };
    check_refused(send(nullptr), 428, "if_match_required");
    for (const char* etag :
         {"x",
          "\"",
          "\"abc\"",
          "\"-1\"",
          "\"0\"",
          "\"99999999999999999999-1\"",
          "W/\"1-1\"",
          "'1'",
          "\"1 OR 1=1\"",
          "\"1\"",
          "\"1-\"",
          "\"1-1",
          "\"1-1\"x",
          "\"1-1\", \"2-1\""}) {
        INFO(etag);
        check_refused(send(etag), 412, "version_mismatch");
    }
}

/// A mistake on the way in must not come out as a log line, a header or another body.
void check_heads(StagedShop& shop) {
    const auto port = shop.process().port();
    const auto get = [&](const std::string& lines) {
        return exchange_raw(
            port,
            "GET /api/absent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + lines + "\r\n"
        );
    };
    for (const char* bad :
         {"X-Name: a\rb\r\n",
          "X-Name: a\nb: c\r\n",
          "X-Name: a\x01\r\n",
          "X Name: a\r\n",
          ": a\r\n",
          "X-Name : a\r\n",
          "X-Name: a\r\n folded\r\n",
          "Host: other\r\n"}) {
        INFO(bad);
        CHECK_THAT(get(bad), Catch::StartsWith("HTTP/1.1 400"));
    }
    for (const char* id : {"x\"}", "a b", "<script>", "\xC3\xA9", "{{id}}", "' OR 1=1"}) {
        INFO(id);
        const std::string answer = get(fmt::format("Request-Id: {}\r\n", id));
        CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 404"));
        CHECK_THAT(answer, !Catch::Contains(id));  // one of ours instead
    }
    http::Headers headers;
    headers.set("Content-Encoding", "gzip");
    const auto packed = shop.process().post("/api/users/login", "{}", headers);
    CHECK(faults_of_problem(packed, 415) == "");
    for (const char* method : {"TRACE", "CONNECT", "BREW", "get"}) {
        INFO(method);
        CHECK_THAT(
            exchange_raw(
                port, fmt::format("{} /api/products HTTP/1.1\r\nHost: localhost\r\n\r\n", method)
            ),
            Catch::StartsWith("HTTP/1.1 405")
        );
    }
}

/// The id of a product whose price is the highest that there is.
std::string add_dear_product(StagedShop& shop) {
    const SpoiledBody target(shop, shop.operation("POST /api/products"));
    json::value body = target.sample();
    body.at_pointer("/price/amount") = 9'000'000'000;
    body.as_object()["stock"] = 1'000'000'000;
    const auto added = target.send(json::serialize(body));
    REQUIRE(added.status == 201);
    return std::string(parse(added).at("id").as_string());
}

}  // namespace

TEST_CASE("what makes no sense in the trade is refused by name, and leaves nothing behind") {
    StagedShop shop;
    const std::string dear_id = add_dear_product(shop);
    const auto stock = stock_of(shop, shop.product_id);
    const auto orders_before = parse(shop.send(shop.operation("GET /api/orders"), &shop.owner, ""));
    check_cases(shop, senseless_orders(shop, dear_id));
    check_cases(shop, senseless_imports());
    check_cases(shop, senseless_products());
    check_cases(shop, senseless_accounts());
    check_stock_limits(shop);
    check_states(shop);
    check_preconditions(shop);
    check_heads(shop);

    CHECK(parse(shop.send(shop.operation("GET /api/orders"), &shop.owner, "")) == orders_before);
    CHECK(stock_of(shop, dear_id) == 1'000'000'000);
    CHECK(stock_of(shop, shop.product_id) == stock);
    CHECK(shop.faults_after_attacks() == "");
}
