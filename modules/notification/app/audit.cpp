#include "app/audit.hpp"

#include "souk/http.hpp"
#include "store/mail_store.hpp"

namespace souk::notification::app {

Task<Result<AuditPage>> audit(
    Database& database, CallContext ctx, std::string cursor, std::size_t limit
) {
    std::string after;
    if (!cursor.empty()) {
        auto fields = http::decode_cursor(cursor, 1);
        if (!fields) co_return fields.error();
        after = fields->front();
    }
    auto mails = co_await store::list_mails(database, std::move(after), limit, ctx.deadline);
    if (!mails) co_return mails.error();
    AuditPage page;
    for (const auto& mail : *mails) {
        json::object row;
        row["kind"] = "mail";
        row["order_id"] = mail.order_id;
        row["template"] = mail.mail_template;
        row["status"] = mail.status;
        page.rows.push_back(std::move(row));
    }
    if (mails->size() == limit)
        page.next_cursor = http::encode_cursor(std::vector<std::string>(1, mails->back().id));
    co_return page;
}

}  // namespace souk::notification::app
