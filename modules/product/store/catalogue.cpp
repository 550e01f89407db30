#include "store/catalogue.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace souk::product::store {

namespace {

#define SOUK_PRODUCT_COLUMNS                                                              \
    "SELECT p.id, p.sku, p.name, p.description, p.category, p.currency, p.price_micros, " \
    "p.version, p.created_at, s.available FROM products p JOIN stock s ON s.product_id = p.id "
#define SOUK_PRODUCT_PAGE "WHERE p.price_micros IS NOT NULL AND (p.created_at, p.id) < ($1, $2) "
#define SOUK_PRODUCT_ORDER " ORDER BY p.created_at DESC, p.id DESC LIMIT "

// Two sizes of a page, not a parameter: PostgreSQL takes an unknown LIMIT for a tenth of all rows,
// finds such a plan dear, and so makes a new one each time, for four times what it takes to run it.
constexpr std::size_t usual_page = 21;  // what is shown when nothing is said, and one more
constexpr std::size_t longest_page = 101;
static_assert(longest_page == domain::max_page + 1);
constexpr Statement list_all{
    "product.list", SOUK_PRODUCT_COLUMNS SOUK_PRODUCT_PAGE SOUK_PRODUCT_ORDER "21"};
constexpr Statement list_all_long{
    "product.list_long", SOUK_PRODUCT_COLUMNS SOUK_PRODUCT_PAGE SOUK_PRODUCT_ORDER "101"};
constexpr Statement list_category{
    "product.list_category",
    SOUK_PRODUCT_COLUMNS SOUK_PRODUCT_PAGE "AND p.category = $3" SOUK_PRODUCT_ORDER "21"};
constexpr Statement list_category_long{
    "product.list_category_long",
    SOUK_PRODUCT_COLUMNS SOUK_PRODUCT_PAGE "AND p.category = $3" SOUK_PRODUCT_ORDER "101"};
constexpr Statement search{
    "product.search",
    SOUK_PRODUCT_COLUMNS SOUK_PRODUCT_PAGE
    "AND (p.created_at, p.id) >= ($6, $7) AND ($4 = '' OR p.category = $4) "
    "AND (LOWER(p.name) LIKE $5 ESCAPE '!' OR LOWER(p.sku) LIKE $5 ESCAPE '!')" SOUK_PRODUCT_ORDER
    "$3"};
constexpr Statement search_step{
    "product.search_step",
    "SELECT p.created_at, p.id FROM products p " SOUK_PRODUCT_PAGE
    "ORDER BY p.created_at DESC, p.id DESC LIMIT 1 OFFSET $3"};
// A search reads every product until it has its page, on a connection that others share: they get
// their turn after so many.
constexpr std::size_t search_step_size = 2000;

constexpr Statement find_one{"product.find", SOUK_PRODUCT_COLUMNS "WHERE p.id = $1"};

constexpr Statement insert_one{
    "product.insert",
    "INSERT INTO products (id, sku, name, description, category, currency, price_micros, version, "
    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8) "
    "ON CONFLICT (sku) DO NOTHING"};
constexpr Statement update_one{
    "product.update",
    "UPDATE products SET name = $3, description = $4, category = $5, currency = $6, "
    "price_micros = $7, version = version + 1, updated_at = $8 WHERE id = $1 AND version = $2"};
constexpr Statement upsert_one{
    "product.upsert",
    "INSERT INTO products (id, sku, name, description, category, currency, price_micros, version, "
    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8) "
    "ON CONFLICT (sku) DO UPDATE SET name = excluded.name, description = excluded.description, "
    "category = excluded.category, currency = excluded.currency, "
    "price_micros = excluded.price_micros, version = products.version + 1, "
    "updated_at = excluded.updated_at "
    "WHERE products.name <> excluded.name OR products.description <> excluded.description "
    "OR products.category <> excluded.category OR products.currency <> excluded.currency "
    "OR products.price_micros IS DISTINCT FROM excluded.price_micros "
    "RETURNING id, version"};
constexpr Statement id_of_sku{"product.id_of_sku", "SELECT id FROM products WHERE sku = $1"};

Value price_of(const Product& product) {
    if (!product.price) return Value();
    return Value(product.price->micros());
}

Product read(const Rows::Row& row, Currency currency) {
    Product product(currency);
    product.id = row.string(0);
    product.sku = row.string(1);
    product.name = row.string(2);
    product.description = row.string(3);
    product.category = row.string(4);
    if (!row.is_null(6)) product.price = UnitPrice::from_micros(row.integer(6));
    product.version = row.integer(7);
    product.created_at = row.time(8);
    product.available = row.integer(9);
    return product;
}

Params new_row(const Product& p) {
    return bind(
        p.id, p.sku, p.name, p.description, p.category, p.currency.code(), price_of(p), p.created_at
    );
}

Task<Result<Rows>> select(
    Database& database,
    const Statement& statement,
    Params params,
    Freshness freshness,
    Deadline deadline
) {
    if (freshness == Freshness::may_lag)
        return database.query_stale(statement, std::move(params), deadline);
    return database.query(statement, std::move(params), deadline);
}

/// `text` anywhere in lower case, with LIKE's own signs taken literally. ASCII only, as LOWER() in
/// both databases.
std::string contains_pattern(std::string_view text) {
    std::string pattern = "%";
    for (char c : text) {
        if (c == '%' || c == '_' || c == '!') pattern += '!';
        pattern += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return pattern + '%';
}

void append(
    std::vector<Product>& products,
    const Rows& rows,
    std::size_t at_most = std::numeric_limits<std::size_t>::max()
) {
    const std::size_t count = std::min(rows.size(), at_most);
    products.reserve(products.size() + count);
    std::optional<Currency> currency;  // most have the same; its look-up costs more than a row
    for (std::size_t i = 0; i < count; ++i) {
        const auto row = rows[i];
        if (!currency || currency->code() != row.text(5))
            currency = Currency::parse(row.text(5)).value();
        products.push_back(read(row, *currency));
    }
}

Task<Result<std::vector<Product>>> search_products(
    Database& database, ListFilter filter, Freshness freshness, Deadline deadline
) {
    const std::string pattern = contains_pattern(filter.search);
    std::vector<Product> products;
    Position from = filter.after;
    for (;;) {
        Params step = bind(from.created_at, from.id, search_step_size - 1);
        auto end = co_await select(database, search_step, std::move(step), freshness, deadline);
        if (!end) co_return end.error();
        const bool last = end->empty();
        Position to(std::numeric_limits<std::int64_t>::min(), "");
        if (!last) to = Position((*end)[0].integer(0), (*end)[0].string(1));
        Params params = bind(
            from.created_at,
            from.id,
            filter.limit - products.size(),
            filter.category,
            pattern,
            to.created_at,
            to.id
        );
        auto rows = co_await select(database, search, std::move(params), freshness, deadline);
        if (!rows) co_return rows.error();
        append(products, *rows);
        if (last || products.size() >= filter.limit) co_return products;
        from = std::move(to);
    }
}

}  // namespace

Task<Result<std::vector<Product>>> list_products(
    Database& database, ListFilter filter, Freshness freshness, Deadline deadline
) {
    if (!filter.search.empty())
        co_return co_await search_products(database, std::move(filter), freshness, deadline);
    const bool all = filter.category.empty();
    const Statement* statement = all ? &list_all : &list_category;
    if (filter.limit > usual_page) statement = all ? &list_all_long : &list_category_long;
    Params params = bind(filter.after.created_at, filter.after.id);
    if (!all) params.emplace_back(filter.category);
    auto rows = co_await select(database, *statement, std::move(params), freshness, deadline);
    if (!rows) co_return rows.error();
    std::vector<Product> products;
    append(products, *rows, filter.limit);
    co_return products;
}

Task<Result<std::optional<Product>>> find_product(
    Database& database, std::string id, Freshness freshness, Deadline deadline
) {
    Params params = bind(std::move(id));
    auto rows = co_await select(database, find_one, std::move(params), freshness, deadline);
    if (!rows) co_return rows.error();
    std::optional<Product> product;
    if (rows->empty()) co_return product;
    const auto row = (*rows)[0];
    product = read(row, Currency::parse(row.text(5)).value());
    co_return product;
}

Task<Result<void>> insert_product(Transaction& tx, const Product& product) {
    auto rows = co_await tx.execute(insert_one, new_row(product));
    if (!rows) co_return rows.error();
    if (rows->affected() == 0) co_return conflict("sku_taken", "another product has this SKU");
    co_return Result<void>();
}

Task<Result<bool>> update_product(Transaction& tx, const Product& p, Timestamp now) {
    Params params = bind(
        p.id, p.version, p.name, p.description, p.category, p.currency.code(), price_of(p), now
    );
    auto rows = co_await tx.execute(update_one, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected() == 1;
}

Task<Result<std::vector<Upserted>>> upsert_products(
    Transaction& tx, const std::vector<Product>& products
) {
    std::vector<std::size_t> order(products.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return products[a].sku < products[b].sku;
    });
    std::vector<Params> rows;
    for (const std::size_t i : order)
        rows.push_back(new_row(products[i]));
    auto written = co_await tx.execute_all(upsert_one, std::move(rows));
    if (!written) co_return written.error();

    std::vector<Upserted> out(products.size());
    std::vector<std::size_t> unchanged;
    std::vector<Params> skus;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const Rows& row = (*written)[i];
        if (row.empty()) {
            unchanged.push_back(order[i]);
            skus.push_back(bind(products[order[i]].sku));
            continue;
        }
        Upserted& one = out[order[i]];
        one.id = row[0].string(0);
        one.outcome = row[0].integer(1) == 1 ? Upsert::created : Upsert::updated;
    }
    if (unchanged.empty()) co_return out;
    auto known = co_await tx.execute_all(id_of_sku, std::move(skus));
    if (!known) co_return known.error();
    for (std::size_t i = 0; i < unchanged.size(); ++i)
        out[unchanged[i]].id = (*known)[i][0].string(0);
    co_return out;
}

}  // namespace souk::product::store
