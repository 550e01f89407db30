#include "app/queries.hpp"
#include "unit/product/support.hpp"

#include <set>

using namespace souk;
using namespace souk::test;

namespace {

http::Headers header(std::string_view name, std::string_view value) {
    http::Headers headers;
    headers.add(name, value);
    return headers;
}

Answer change_stock(
    ProductWorld& world, std::string id, std::string key, std::string body, Identity who = admin()
) {
    return world.run(world.call(
        http::Method::post,
        "/api/products/{id}/stock",
        std::move(id),
        std::move(who),
        std::move(body),
        header("Idempotency-Key", key)
    ));
}

Answer patch(ProductWorld& world, std::string id, http::Headers headers, std::string body) {
    return world.run(world.call(
        http::Method::patch,
        "/api/products/{id}",
        std::move(id),
        admin(),
        std::move(body),
        std::move(headers)
    ));
}

std::string item(std::string_view sku, std::string_view rest) {
    return fmt::format(R"({{"sku":"{}","name":"N {}","currency":"GBP",{}}})", sku, sku, rest);
}

/// Knows what was asked of a replica.
class TwoAddresses final : public Database {
public:
    explicit TwoAddresses(Database& inner) : inner_(inner) {}
    Task<Result<Rows>> query(const Statement& s, Params params, Deadline deadline) override {
        ++current;
        return inner_.query(s, std::move(params), deadline);
    }
    Task<Result<Rows>> query_stale(const Statement& s, Params params, Deadline deadline) override {
        ++stale;
        return inner_.query(s, std::move(params), deadline);
    }
    Task<Result<void>> transact(TransactionBody body, Deadline deadline) override {
        return inner_.transact(std::move(body), deadline);
    }
    Dialect dialect() const override { return inner_.dialect(); }
    int current = 0;
    int stale = 0;

private:
    Database& inner_;
};

Task<Result<bool>> finds(product::app::Services& services, CallContext ctx, std::string id) {
    auto product = co_await product::app::get_product(services, std::move(ctx), std::move(id));
    if (!product) co_return product.error();
    co_return true;
}

}  // namespace

TEST_CASE("a product is made, shown and unique by its SKU, in which case counts") {
    ProductWorld world;
    const Answer made =
        world.post("/api/products", "", admin(), ProductWorld::new_product("a1", 7, 255));
    REQUIRE(made.status == 201);
    CHECK(made.headers.get("Location") == "/api/products/" + made.member("id"));
    const Answer shown = world.get("/api/products/{id}", made.member("id"));
    CHECK(shown.status == 200);
    CHECK(shown.text == made.text);
    CHECK(shown.body.at("stock") == 7);
    CHECK(shown.body.at("price").at("amount") == 255);
    CHECK(shown.body.at("price").as_object().if_contains("unit_amount_decimal") == nullptr);

    const Answer twice =
        world.post("/api/products", "", admin(), ProductWorld::new_product("a1", 7));
    CHECK(twice.status == 409);
    CHECK(twice.code() == "sku_taken");
    CHECK(
        world.post("/api/products", "", admin(), ProductWorld::new_product("A1", 7)).status == 201
    );
    CHECK(world.get("/api/products/{id}", "prd_none").status == 404);
}

TEST_CASE("bad products are refused with a pointer to each fault") {
    ProductWorld world;
    const Answer answer = world.post(
        "/api/products",
        "",
        admin(),
        R"({"sku":"","name":"x","price":{"amount":-1,"currency":"XXX"},"role":"admin"})"
    );
    CHECK(answer.status == 400);
    std::set<std::string> pointers;
    for (const auto& fault : answer.body.at("errors").as_array())
        pointers.emplace(fault.at("pointer").as_string());
    CHECK(pointers == std::set<std::string>{"/sku", "/price/amount", "/price/currency", "/role"});
}

TEST_CASE("the list goes through all published products once, by pages and filters") {
    ProductWorld world;
    for (int i = 0; i < 5; ++i) {
        world.add(fmt::format("S{}", i), 1);
        world.clock.advance(milliseconds(i % 2));  // some share their time
    }
    REQUIRE(world.sql("UPDATE products SET price_micros = NULL WHERE sku = 'S3'"));
    REQUIRE(world.sql("UPDATE products SET category = 'tea', name = '50% Off' WHERE sku = 'S1'"));

    std::vector<std::string> seen;
    std::string target = "?limit=2";
    for (;;) {
        const Answer page = world.get("/api/products", target);
        REQUIRE(page.status == 200);
        for (const auto& product : page.body.at("data").as_array())
            seen.emplace_back(product.at("sku").as_string());
        if (!page.body.at("has_more").as_bool()) break;
        target = "?limit=2&cursor=" + page.member("next_cursor");
    }
    CHECK(seen.size() == 4);
    CHECK(
        std::set<std::string>(seen.begin(), seen.end()) ==
        std::set<std::string>{"S0", "S1", "S2", "S4"}
    );

    const auto count = [&](std::string query) {
        return world.get("/api/products", std::move(query)).body.at("data").as_array().size();
    };
    CHECK(count("?category=tea") == 1);
    CHECK(count("?q=50%25%20oFF") == 1);
    CHECK(count("?q=5_%25") == 0);  // LIKE's signs are taken literally
    CHECK(count("?q=s2") == 1);
    CHECK(count("?q=a&category=tea") == 0);
    CHECK(world.get("/api/products", "?limit=0").status == 400);
    CHECK(world.get("/api/products", "?cursor=rubbish").status == 400);
    CHECK(
        world.get("/api/products/{id}", world.text("SELECT id FROM products WHERE sku = 'S3'"))
            .status == 404
    );
}

TEST_CASE("a search finds every product, newest first, however many others lie between") {
    ProductWorld world;
    REQUIRE(world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4300) "
        "INSERT INTO products (id, sku, name, description, category, currency, price_micros, "
        "version, created_at, updated_at) SELECT 'p' || i, 'K' || i, "
        "CASE WHEN i % 1000 = 5 OR i IN (2300, 2301) THEN 'Needle' ELSE 'hay' END, '', "
        "CASE WHEN i < 1000 THEN 'old' ELSE 'toys' END, 'GBP', 1000000, 1, i, i FROM n"
    ));
    REQUIRE(
        world.sql("INSERT INTO stock (product_id, received, available, held, sold) "
                  "SELECT id, 1, 1, 0, 0 FROM products")
    );
    const auto found = [&](std::string target) {
        std::string skus;
        std::string cursor;
        for (bool more = true; more;) {
            const Answer page = world.get("/api/products", target + cursor);
            REQUIRE(page.status == 200);
            for (const auto& product : page.body.at("data").as_array())
                skus += std::string(product.at("sku").as_string()) + " ";
            more = page.body.at("has_more").as_bool();
            if (more) cursor = "&cursor=" + page.member("next_cursor");
        }
        return skus;
    };
    const std::string all = "K4005 K3005 K2301 K2300 K2005 K1005 K5 ";
    CHECK(found("?q=needle&limit=1") == all);
    CHECK(found("?q=needle&limit=3") == all);
    CHECK(found("?q=needle&limit=100") == all);
    CHECK(found("?q=needle&category=old") == "K5 ");
    CHECK(found("?q=nothing").empty());
}

TEST_CASE("an ETag spares a body, and a change needs the ETag of what was seen") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    const std::string etag(world.get("/api/products/{id}", id).headers.get("ETag"));
    const Answer same = world.run(world.call(
        http::Method::get, "/api/products/{id}", id, Identity(), "", header("If-None-Match", etag)
    ));
    CHECK(same.status == 304);
    CHECK(same.text.empty());

    const std::string change = R"({"price":{"amount":300,"currency":"GBP"}})";
    CHECK(patch(world, id, http::Headers(), change).status == 428);
    // A sale between seeing and changing does not matter, though the ETag is another one.
    REQUIRE(world.reserve("ord_1", Lines{{id, 1}}));
    CHECK(world.get("/api/products/{id}", id).headers.get("ETag") != etag);
    const Answer changed = patch(world, id, header("If-Match", etag), change);
    REQUIRE(changed.status == 200);
    CHECK(changed.body.at("price").at("amount") == 300);
    CHECK(world.get("/api/products/{id}", id).body.at("price").at("amount") == 300);
    const Answer stale = patch(world, id, header("If-Match", etag), change);
    CHECK(stale.status == 412);
}

TEST_CASE("a stock change happens once per key and caller") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    const Answer first = change_stock(world, id, "k1", R"({"delta":3})");
    REQUIRE(first.status == 200);
    CHECK_FALSE(first.replayed());
    CHECK(first.body.at("available") == 8);
    const Answer again = change_stock(world, id, "k1", R"({"delta":3})");
    CHECK(again.replayed());
    CHECK(again.text == first.text);
    CHECK(world.stock(id) == "8/8/0/0");

    const Answer other_body = change_stock(world, id, "k1", R"({"delta":4})");
    CHECK(other_body.status == 422);
    CHECK(other_body.code() == "idempotency_key_reused");
    const Answer other_product = change_stock(world, "prd_x", "k1", R"({"delta":3})");
    CHECK(other_product.status == 422);
    const Identity other("usr_other", {"admin"}, "ses_3");
    CHECK_FALSE(change_stock(world, id, "k1", R"({"delta":3})", other).replayed());
    CHECK(world.stock(id) == "11/11/0/0");

    const Answer too_much = change_stock(world, id, "k2", R"({"delta":-12})");
    CHECK(too_much.status == 409);
    CHECK(too_much.code() == "insufficient_stock");
    const Answer beyond = change_stock(world, id, "k2", R"({"delta":1000000000000})");
    CHECK(beyond.status == 409);
    CHECK(beyond.code() == "too_much_stock");
    CHECK(world.stock(id) == "11/11/0/0");
    CHECK(change_stock(world, id, "k2", R"({"delta":-11})").status == 200);
    CHECK(world.stock(id) == "0/0/0/0");
    CHECK(change_stock(world, "prd_none", "k3", R"({"delta":1})").status == 404);
}

TEST_CASE("50 stock changes at once with one key change the stock once") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    std::vector<Task<Answer>> calls;
    for (int i = 0; i < 50; ++i)
        calls.push_back(world.call(
            http::Method::post,
            "/api/products/{id}/stock",
            id,
            admin(),
            R"({"delta":3})",
            header("Idempotency-Key", "k1")
        ));
    int fresh = 0;
    for (const Answer& answer : world.run_all(std::move(calls))) {
        CHECK(answer.status == 200);
        fresh += !answer.replayed();
    }
    CHECK(fresh == 1);
    CHECK(world.stock(id) == "8/8/0/0");
}

TEST_CASE("an import is an upsert by SKU that changes nothing when repeated") {
    ProductWorld world;
    const std::string body = fmt::format(
        R"({{"items":[{},{}]}})",
        item("A", R"("stock":10,"unit_amount_decimal":"0.1")"),
        item("B", R"("stock":4)")
    );
    const Answer first = world.post("/api/products/import", "", admin(), body);
    REQUIRE(first.status == 200);
    CHECK(first.body.at("created") == 2);
    const std::string a(first.body.at("data").at(0).at("id").as_string());
    CHECK(first.body.at("data").at(0).at("sku") == "A");
    const Answer shown = world.get("/api/products/{id}", a);
    CHECK(shown.body.at("price").at("amount") == 0);
    CHECK(shown.body.at("price").at("unit_amount_decimal") == "0.1");
    CHECK(world.get("/api/products").body.at("data").as_array().size() == 1);  // B has no price

    REQUIRE(world.reserve("ord_1", Lines{{a, 4}}));
    const Answer again = world.post("/api/products/import", "", admin(), body);
    CHECK(again.body.at("unchanged") == 2);
    CHECK(again.body.at("data") == first.body.at("data"));
    CHECK(world.stock(a) == "10/6/4/0");

    const Answer more = world.post(
        "/api/products/import",
        "",
        admin(),
        fmt::format(R"({{"items":[{}]}})", item("A", R"("stock":12,"unit_amount_decimal":"0.1")"))
    );
    CHECK(more.body.at("updated") == 1);
    CHECK(world.stock(a) == "12/8/4/0");
    const Answer less = world.post(
        "/api/products/import",
        "",
        admin(),
        fmt::format(R"({{"items":[{},{}]}})", item("C", R"("stock":1)"), item("A", R"("stock":3)"))
    );
    CHECK(less.status == 409);
    CHECK(less.code() == "insufficient_stock");
    CHECK(world.stock(a) == "12/8/4/0");
    CHECK(world.number("SELECT COUNT(*) FROM products WHERE sku = 'C'") == 0);  // all or none
}

TEST_CASE("the audit shows all stock and all reservations, page by page") {
    ProductWorld world;
    for (int i = 0; i < 3; ++i)
        world.add(fmt::format("S{}", i), 5);
    const std::string id = world.text("SELECT id FROM products WHERE sku = 'S1'");
    for (int i = 0; i < 3; ++i)
        REQUIRE(world.reserve(fmt::format("ord_{}", i), Lines{{id, 1}}));
    std::map<std::string, int> kinds;
    std::string target = "?limit=2";
    for (;;) {
        const Answer page = world.get("/internal/product/audit", target);
        REQUIRE(page.status == 200);
        for (const auto& row : page.body.at("data").as_array()) {
            ++kinds[std::string(row.at("kind").as_string())];
            if (row.at("kind") == "stock")
                CHECK(
                    row.at("received").as_int64() == row.at("available").as_int64() +
                                                         row.at("held").as_int64() +
                                                         row.at("sold").as_int64()
                );
            else
                CHECK(row.at("units") == 1);
        }
        if (!page.body.at("has_more").as_bool()) break;
        target = "?limit=2&cursor=" + page.member("next_cursor");
    }
    CHECK(kinds == std::map<std::string, int>{{"stock", 3}, {"reservation", 3}});
}

TEST_CASE("who only browses may read from a replica; who writes products reads what was written") {
    ProductWorld world;
    const std::string id = world.add("A", 5);
    TwoAddresses database(world.database());
    product::app::Services services(database, world.clock, Logger("test"));
    const auto read_as = [&](Identity caller) {
        const CallContext ctx(std::move(caller), Deadline::never(), "req_1", "");
        CHECK(world.run(finds(services, ctx, id)));
        CHECK(world.run(product::app::list_products(services, ctx, product::app::ListFilter())));
    };
    read_as(Identity());
    read_as(customer());
    CHECK(database.stale == 4);
    CHECK(database.current == 0);
    read_as(admin());
    read_as(Identity("usr_staff", {"staff"}, "ses_3"));
    read_as(Identity("usr_importer", {"importer"}, "ses_4"));
    CHECK(database.stale == 4);
    CHECK(database.current == 6);
}
