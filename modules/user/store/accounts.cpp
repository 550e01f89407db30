#include "store/accounts.hpp"

#include "souk/id.hpp"
#include "souk/json.hpp"

#include <algorithm>
#include <numeric>

namespace souk::user::store {

namespace {

constexpr Statement find_login_by_email{
    "user.find_login",
    "SELECT id, email, name, role, created_at, password_hash FROM users "
    "WHERE email = $1 AND password_hash IS NOT NULL"};

// An array, not JSON: of that PostgreSQL expects 100 rows, and reads the whole table for one of
// them.
constexpr Statement find_by_ids{
    "user.find_by_ids",
    "SELECT id, email, name, role, created_at FROM users "
    "WHERE id IN (SELECT value FROM json_each($1))",
    "SELECT id, email, name, role, created_at FROM users "
    "WHERE id = ANY (CAST($1 AS TEXT[]))"};

constexpr Statement count_by_role{
    "user.count_by_role", "SELECT role, COUNT(*) FROM users GROUP BY role ORDER BY role"};

constexpr Statement insert_user{
    "user.insert_account",
    "INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $6)"};

constexpr Statement upsert_user{
    "user.put_account",
    "INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $6) "
    "ON CONFLICT (email) WHERE password_hash IS NOT NULL DO UPDATE SET name = excluded.name, "
    "role = excluded.role, password_hash = excluded.password_hash, "
    "updated_at = excluded.updated_at "
    "RETURNING id, email, name, role, created_at"};

constexpr Statement match_password{
    "user.match_password",
    "SELECT 1 FROM users WHERE id = $1 AND password_hash = $2",
    "SELECT 1 FROM users WHERE id = $1 AND password_hash = $2 FOR SHARE"};

constexpr Statement upsert_customer{
    "user.upsert_customer",
    "INSERT INTO users (id, email, name, country, role, source, external_ref, created_at, "
    "updated_at) VALUES ($1, $2, $3, $4, 'customer', $5, $6, $7, $7) "
    "ON CONFLICT (source, external_ref) DO UPDATE SET email = excluded.email, "
    "name = excluded.name, country = excluded.country, updated_at = excluded.updated_at "
    "RETURNING external_ref, id"};

std::string list_of(Dialect dialect, const std::vector<std::string>& ids) {
    if (dialect == Dialect::sqlite) return json::serialize(json::array(ids.begin(), ids.end()));
    const std::vector<Value> values(ids.begin(), ids.end());
    return array_text(values);
}

}  // namespace

User user_of(const Rows::Row& row) {
    User user;
    user.id = row.string(0);
    user.email = row.string(1);
    user.name = row.string(2);
    user.role = row.string(3);
    user.created_at = row.time(4);
    return user;
}

Task<Result<std::optional<Login>>> find_login(
    Database& database, std::string email, Deadline deadline
) {
    auto rows =
        co_await database.query(find_login_by_email, souk::bind(std::move(email)), deadline);
    if (!rows) co_return rows.error();
    std::optional<Login> found;
    if (!rows->empty()) found.emplace(user_of((*rows)[0]), (*rows)[0].string(5));
    co_return found;
}

Task<Result<std::vector<User>>> find_users(
    Database& database, std::vector<std::string> ids, Deadline deadline
) {
    auto rows = co_await database.query(
        find_by_ids, souk::bind(list_of(database.dialect(), ids)), deadline
    );
    if (!rows) co_return rows.error();
    std::vector<User> users;
    users.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i)
        users.push_back(user_of((*rows)[i]));
    co_return users;
}

Task<Result<std::vector<RoleCount>>> count_roles(Database& database, Deadline deadline) {
    auto rows = co_await database.query(count_by_role, Params(), deadline);
    if (!rows) co_return rows.error();
    std::vector<RoleCount> counts;
    for (std::size_t i = 0; i < rows->size(); ++i)
        counts.emplace_back((*rows)[i].string(0), (*rows)[i].integer(1));
    co_return counts;
}

Task<Result<void>> insert_account(Transaction& tx, Login account) {
    const User& user = account.user;
    auto params = souk::bind(
        user.id, user.email, user.name, user.role, account.password_hash, user.created_at
    );
    auto inserted = co_await tx.execute(insert_user, std::move(params));
    if (!inserted) co_return inserted.error();
    co_return Result<void>();
}

Task<Result<User>> put_account(Transaction& tx, Login account) {
    const User& user = account.user;
    auto params = souk::bind(
        user.id, user.email, user.name, user.role, account.password_hash, user.created_at
    );
    auto rows = co_await tx.execute(upsert_user, std::move(params));
    if (!rows) co_return rows.error();
    co_return user_of((*rows)[0]);
}

Task<Result<bool>> has_password(Transaction& tx, std::string id, std::string password_hash) {
    auto params = souk::bind(std::move(id), std::move(password_hash));
    auto rows = co_await tx.execute(match_password, std::move(params));
    if (!rows) co_return rows.error();
    co_return !rows->empty();
}

Task<Result<std::vector<ImportedId>>> upsert_customers(
    Transaction& tx, std::string source, std::vector<ImportedCustomer> customers, Timestamp now
) {
    std::vector<std::size_t> order(customers.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return customers[a].external_ref < customers[b].external_ref;
    });
    std::vector<Params> params;
    params.reserve(customers.size());
    for (const std::size_t i : order)
        params.push_back(souk::bind(
            make_id("usr", now),
            customers[i].email,
            customers[i].name,
            customers[i].country,
            source,
            customers[i].external_ref,
            now
        ));
    auto results = co_await tx.execute_all(upsert_customer, std::move(params));
    if (!results) co_return results.error();
    std::vector<ImportedId> ids(customers.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        const Rows::Row row = (*results)[i][0];
        ids[order[i]] = ImportedId(row.string(0), row.string(1));
    }
    co_return ids;
}

}  // namespace souk::user::store
