#include "store/sessions.hpp"

#include "domain/account.hpp"
#include "store/accounts.hpp"

namespace souk::user::store {

namespace {

// Of two sign-ins at once the second need not wait for what the first forgets.
constexpr Statement purge_sessions{
    "user.purge_sessions",
    "DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2",
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions "
    "WHERE user_id = $1 AND expires_at <= $2 FOR UPDATE SKIP LOCKED)"};

constexpr Statement insert_session_row{
    "user.insert_session",
    "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)"};

constexpr Statement insert_token{
    "user.insert_refresh_token",
    "INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)"};

constexpr Statement use_token{
    "user.use_refresh_token",
    "UPDATE refresh_tokens SET used_at = $2 "
    "WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING session_id"};

constexpr Statement find_used_token{
    "user.find_used_token",
    "SELECT session_id FROM refresh_tokens WHERE hash = $1 AND used_at IS NOT NULL"};

constexpr Statement extend_session{
    "user.extend_session",
    "UPDATE sessions SET expires_at = $2 WHERE id = $1 AND revoked_at IS NULL"};

constexpr Statement purge_tokens{
    "user.purge_refresh_tokens",
    "DELETE FROM refresh_tokens WHERE session_id = $1 AND expires_at <= $2"};

constexpr Statement find_user_of_session{
    "user.find_user_of_session",
    "SELECT u.id, u.email, u.name, u.role, u.created_at "
    "FROM users u JOIN sessions s ON s.user_id = u.id WHERE s.id = $1"};

constexpr Statement mark_revoked{
    "user.revoke_session",
    "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"};

constexpr Statement mark_all_revoked{
    "user.revoke_sessions",
    "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL RETURNING id"};

constexpr Statement take_positions{
    "user.take_revocation_positions",
    "UPDATE revocation_counter SET position = position + $1 WHERE id = 1 RETURNING position"};

constexpr Statement insert_revocation{
    "user.insert_revocation",
    "INSERT INTO revocations (position, session_id, revoked_at) VALUES ($1, $2, $3)"};

constexpr Statement purge_revocations{
    "user.purge_revocations", "DELETE FROM revocations WHERE revoked_at < $1"};

constexpr Statement find_revocations{
    "user.find_revocations",
    "SELECT position, session_id FROM revocations WHERE position > $1 "
    "ORDER BY position LIMIT 1000"};

constexpr Statement last_position{
    "user.last_revocation", "SELECT position FROM revocation_counter WHERE id = 1"};

/// What expired before this is used by nobody, also where clocks differ: deleting it meets no lock.
Timestamp long_expired(Timestamp now) {
    return now - std::chrono::hours(1);
}

std::optional<std::string> first_text(const Rows& rows) {
    if (rows.empty()) return std::nullopt;
    return rows[0].string(0);
}

Task<Result<void>> add_token(Transaction& tx, RefreshToken token) {
    auto params = souk::bind(token.hash, token.session, token.expires_at);
    auto inserted = co_await tx.execute(insert_token, std::move(params));
    if (!inserted) co_return inserted.error();
    co_return Result<void>();
}

/// The counter row stays locked until the commit, so that positions rise in the order of commits;
/// it is the last lock that a transaction takes, so that nobody who has it waits for anybody.
Task<Result<void>> append_revocations(
    Transaction& tx, std::vector<std::string> sessions, Timestamp now
) {
    auto last = co_await tx.execute(take_positions, souk::bind(sessions.size()));
    if (!last) co_return last.error();
    std::int64_t position = (*last)[0].integer(0) - static_cast<std::int64_t>(sessions.size());
    std::vector<Params> rows;
    rows.reserve(sessions.size());
    for (std::string& session : sessions)
        rows.push_back(souk::bind(++position, std::move(session), now));
    auto inserted = co_await tx.execute_all(insert_revocation, std::move(rows));
    if (!inserted) co_return inserted.error();
    auto purged = co_await tx.execute(
        purge_revocations, souk::bind(Timestamp(now - domain::revocation_retention))
    );
    if (!purged) co_return purged.error();
    co_return Result<void>();
}

}  // namespace

Task<Result<void>> insert_session(
    Transaction& tx, std::string user, RefreshToken token, Timestamp now
) {
    auto purged = co_await tx.execute(purge_sessions, souk::bind(user, long_expired(now)));
    if (!purged) co_return purged.error();
    auto params = souk::bind(token.session, user, now, token.expires_at);
    auto inserted = co_await tx.execute(insert_session_row, std::move(params));
    if (!inserted) co_return inserted.error();
    co_return co_await add_token(tx, std::move(token));
}

Task<Result<std::optional<std::string>>> use_refresh_token(
    Transaction& tx, std::string hash, Timestamp now
) {
    auto rows = co_await tx.execute(use_token, souk::bind(std::move(hash), now));
    if (!rows) co_return rows.error();
    co_return first_text(*rows);
}

Task<Result<std::optional<std::string>>> session_of_used_token(Transaction& tx, std::string hash) {
    auto rows = co_await tx.execute(find_used_token, souk::bind(std::move(hash)));
    if (!rows) co_return rows.error();
    co_return first_text(*rows);
}

Task<Result<std::optional<User>>> rotate(Transaction& tx, RefreshToken next, Timestamp now) {
    std::optional<User> owner;
    auto extended = co_await tx.execute(extend_session, souk::bind(next.session, next.expires_at));
    if (!extended) co_return extended.error();
    if (extended->affected() == 0) co_return owner;
    auto purged = co_await tx.execute(purge_tokens, souk::bind(next.session, long_expired(now)));
    if (!purged) co_return purged.error();
    auto rows = co_await tx.execute(find_user_of_session, souk::bind(next.session));
    if (!rows) co_return rows.error();
    owner = user_of((*rows)[0]);
    auto added = co_await add_token(tx, std::move(next));
    if (!added) co_return added.error();
    co_return owner;
}

Task<Result<void>> revoke_session(Transaction& tx, std::string session, Timestamp now) {
    auto marked = co_await tx.execute(mark_revoked, souk::bind(session, now));
    if (!marked) co_return marked.error();
    if (marked->affected() == 0) co_return Result<void>();
    std::vector<std::string> sessions(1, std::move(session));
    co_return co_await append_revocations(tx, std::move(sessions), now);
}

Task<Result<void>> revoke_sessions_of(Transaction& tx, std::string user, Timestamp now) {
    auto marked = co_await tx.execute(mark_all_revoked, souk::bind(std::move(user), now));
    if (!marked) co_return marked.error();
    if (marked->empty()) co_return Result<void>();
    std::vector<std::string> sessions;
    sessions.reserve(marked->size());
    for (std::size_t i = 0; i < marked->size(); ++i)
        sessions.push_back((*marked)[i].string(0));
    co_return co_await append_revocations(tx, std::move(sessions), now);
}

Task<Result<std::vector<Revocation>>> revocations_after(
    Database& database, std::int64_t position, Deadline deadline
) {
    auto rows = co_await database.query(find_revocations, souk::bind(position), deadline);
    if (!rows) co_return rows.error();
    std::vector<Revocation> revocations;
    revocations.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i)
        revocations.emplace_back((*rows)[i].integer(0), (*rows)[i].string(1));
    co_return revocations;
}

Task<Result<std::int64_t>> count_revocations(Database& database, Deadline deadline) {
    auto rows = co_await database.query(last_position, Params(), deadline);
    if (!rows) co_return rows.error();
    co_return (*rows)[0].integer(0);
}

}  // namespace souk::user::store
