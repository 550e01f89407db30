#include "store/mail_store.hpp"

namespace souk::notification::store {

namespace {

inline constexpr Statement insert_mail_sql{
    .name = "notification.insert_mail",
    .sql =
        "INSERT INTO mails (id, template, order_id, user_id, status, tries, next_at, created_at) "
        "VALUES ($1, $2, $3, $4, 'queued', 0, $5, $5) ON CONFLICT (id) DO NOTHING",
    .postgres =
        "INSERT INTO mails (id, template, order_id, user_id, status, tries, next_at, created_at) "
        "SELECT r.id, r.template, r.order_id, r.user_id, 'queued', 0, r.now, r.now "
        "FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), "
        "CAST($4 AS TEXT[]), CAST($5 AS BIGINT[])) AS r (id, template, order_id, user_id, now) "
        "ON CONFLICT (id) DO NOTHING"};
inline constexpr Statement claim_mails_sql{
    .name = "notification.claim_mails",
    .sql =
        "UPDATE mails SET tries = tries + 1, next_at = $2 WHERE id IN (SELECT id FROM mails "
        "WHERE status = 'queued' AND next_at <= $1 ORDER BY next_at LIMIT $3) "
        "RETURNING id, template, order_id, user_id, status, tries, created_at",
    .postgres =
        "UPDATE mails SET tries = tries + 1, next_at = $2 WHERE id = ANY (ARRAY(SELECT id "
        "FROM mails WHERE status = 'queued' AND next_at <= $1 ORDER BY next_at LIMIT $3 "
        "FOR UPDATE SKIP LOCKED)) "
        "RETURNING id, template, order_id, user_id, status, tries, created_at"};
inline constexpr Statement mark_sent_sql{
    .name = "notification.mark_sent",
    .sql = "UPDATE mails SET status = 'sent' WHERE id = $1 AND status = 'queued'",
    .postgres =
        "UPDATE mails SET status = 'sent' "
        "WHERE id = ANY (CAST($1 AS TEXT[])) AND status = 'queued'"};
inline constexpr Statement mark_undeliverable_sql{
    .name = "notification.mark_undeliverable",
    .sql =
        "UPDATE mails SET status = 'undeliverable', reason = $2 "
        "WHERE id = $1 AND status = 'queued'"};
inline constexpr Statement reschedule_mail_sql{
    .name = "notification.reschedule_mail",
    .sql = "UPDATE mails SET next_at = $3 WHERE id = $1 AND status = 'queued' AND tries = $2"};
inline constexpr Statement list_mails_sql{
    .name = "notification.list_mails",
    .sql =
        "SELECT id, template, order_id, user_id, status, tries, created_at FROM mails "
        "WHERE id > $1 ORDER BY id LIMIT $2"};

Result<std::vector<Mail>> to_mails(const Result<Rows>& rows) {
    if (!rows) return rows.error();
    std::vector<Mail> mails;
    mails.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        auto row = (*rows)[i];
        auto& mail = mails.emplace_back(row.string(0), row.string(1), row.string(2), row.string(3));
        mail.status = row.string(4);
        mail.tries = row.integer(5);
        mail.created_at = row.time(6);
    }
    return mails;
}

Task<Result<void>> run(Transaction& tx, const Statement& statement, Params params) {
    auto rows = co_await tx.execute(statement, std::move(params));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

}  // namespace

Task<Result<void>> insert_mail(Transaction& tx, Mail mail, Timestamp now) {
    Params row = bind(mail.id, mail.mail_template, mail.order_id, mail.user_id, now);
    return tx.execute_later(insert_mail_sql, std::move(row));
}

Task<Result<std::vector<Mail>>> claim_mails(
    Transaction& tx, Timestamp now, Timestamp until, std::size_t limit
) {
    auto rows = co_await tx.execute_last(claim_mails_sql, bind(now, until, limit));
    co_return to_mails(rows);
}

Task<Result<void>> mark_sent(Transaction& tx, std::vector<std::string> ids) {
    for (auto& id : ids) {
        auto taken = co_await tx.execute_later(mark_sent_sql, bind(std::move(id)));
        if (!taken) co_return taken.error();
    }
    co_return Result<void>();
}

Task<Result<void>> mark_undeliverable(Transaction& tx, std::string id, std::string reason) {
    return run(tx, mark_undeliverable_sql, bind(id, reason));
}

Task<Result<void>> reschedule_mail(
    Transaction& tx, std::string id, std::int64_t tries, Timestamp at
) {
    return run(tx, reschedule_mail_sql, bind(id, tries, at));
}

Task<Result<std::vector<Mail>>> list_mails(
    Database& database, std::string after_id, std::size_t limit, Deadline deadline
) {
    auto rows = co_await database.query(list_mails_sql, bind(after_id, limit), deadline);
    co_return to_mails(rows);
}

}  // namespace souk::notification::store
