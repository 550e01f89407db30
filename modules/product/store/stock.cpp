#include "store/stock.hpp"

#include <algorithm>
#include <numeric>

namespace souk::product::store {

namespace {

constexpr Statement insert_stock_sql{
    "stock.insert",
    "INSERT INTO stock (product_id, received, available, held, sold) VALUES ($1, $2, $2, 0, 0)"};
constexpr Statement change_stock_sql{
    "stock.change",
    "UPDATE stock SET received = received + $2, available = available + $2 "
    "WHERE product_id = $1 RETURNING received, available, held, sold"};
constexpr Statement set_received_sql{
    "stock.set_received",
    "INSERT INTO stock (product_id, received, available, held, sold) VALUES ($1, $2, $2, 0, 0) "
    "ON CONFLICT (product_id) DO UPDATE SET received = excluded.received, "
    "available = stock.available + (excluded.received - stock.received) "
    "WHERE stock.received <> excluded.received"};

constexpr Statement claim_key_sql{
    "stock.claim_key",
    "INSERT INTO stock_requests (caller, idempotency_key, request_hash, answer, created_at) "
    "VALUES ($1, $2, $3, '', $4) ON CONFLICT (caller, idempotency_key) DO NOTHING"};
constexpr Statement find_key_sql{
    "stock.find_key",
    "SELECT request_hash, answer FROM stock_requests WHERE caller = $1 AND idempotency_key = $2"};
constexpr Statement store_answer_sql{
    "stock.store_answer",
    "UPDATE stock_requests SET answer = $3 WHERE caller = $1 AND idempotency_key = $2"};

constexpr Statement prune_requests_sql{
    "stock.prune_requests",
    "DELETE FROM stock_requests WHERE (caller, idempotency_key) IN (SELECT caller, idempotency_key "
    "FROM stock_requests WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    "DELETE FROM stock_requests WHERE (caller, idempotency_key) IN (SELECT caller, idempotency_key "
    "FROM stock_requests WHERE created_at < $1 ORDER BY created_at LIMIT $2 "
    "FOR UPDATE SKIP LOCKED)"};

/// The checks of the table `stock` in the words of its module.
Error stock_error(Error error) {
    if (error.code != "check_violation") return error;
    return conflict("insufficient_stock", "more units are held, sold or taken than there are");
}

}  // namespace

Task<Result<void>> insert_stock(Transaction& tx, std::string product_id, std::int64_t units) {
    Params params = bind(std::move(product_id), units);
    auto rows = co_await tx.execute(insert_stock_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<std::optional<domain::Stock>>> change_stock(
    Transaction& tx, std::string product_id, std::int64_t delta
) {
    Params params = bind(std::move(product_id), delta);
    auto rows = co_await tx.execute(change_stock_sql, std::move(params));
    if (!rows) co_return stock_error(rows.error());
    std::optional<domain::Stock> stock;
    if (rows->empty()) co_return stock;
    stock.emplace();
    stock->received = (*rows)[0].integer(0);
    stock->available = (*rows)[0].integer(1);
    stock->held = (*rows)[0].integer(2);
    stock->sold = (*rows)[0].integer(3);
    co_return stock;
}

Task<Result<std::vector<bool>>> set_received(Transaction& tx, std::vector<ReceivedTotal> totals) {
    std::vector<std::size_t> order(totals.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return totals[a].product_id < totals[b].product_id;
    });
    std::vector<Params> params;
    for (const std::size_t i : order)
        params.push_back(bind(totals[i].product_id, totals[i].units));
    auto written = co_await tx.execute_all(set_received_sql, std::move(params));
    if (!written) co_return stock_error(written.error());
    std::vector<bool> changed(totals.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        changed[order[i]] = (*written)[i].affected() > 0;
    co_return changed;
}

Task<Result<std::optional<StoredAnswer>>> claim_key(
    Transaction& tx, std::string caller, std::string key, std::string request_hash, Timestamp now
) {
    std::optional<StoredAnswer> stored;
    Params row = bind(caller, key, std::move(request_hash), now);
    auto claimed = co_await tx.execute(claim_key_sql, std::move(row));
    if (!claimed) co_return claimed.error();
    if (claimed->affected() == 1) co_return stored;
    Params by_key = bind(std::move(caller), std::move(key));
    auto found = co_await tx.execute(find_key_sql, std::move(by_key));
    if (!found) co_return found.error();
    stored.emplace();
    stored->request_hash = (*found)[0].string(0);
    stored->answer = (*found)[0].string(1);
    co_return stored;
}

Task<Result<void>> store_answer(
    Transaction& tx, std::string caller, std::string key, std::string answer
) {
    Params params = bind(std::move(caller), std::move(key), std::move(answer));
    auto rows = co_await tx.execute(store_answer_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

Task<Result<std::int64_t>> prune_requests(Transaction& tx, Timestamp before, std::size_t limit) {
    Params params = bind(before, limit);
    auto rows = co_await tx.execute(prune_requests_sql, std::move(params));
    if (!rows) co_return rows.error();
    co_return rows->affected();
}

}  // namespace souk::product::store
