#include "app/read.hpp"

#include "souk/http.hpp"
#include "store/payment_store.hpp"

namespace souk::payment::app {

namespace {

bool may_see(const Identity& identity, const domain::Payment& payment) {
    return identity.may("payments:read") ||
           (identity.signed_in() && identity.subject == payment.user_id);
}

std::string cursor_to(std::string_view kind, std::string_view after) {
    std::vector<std::string> fields;
    fields.emplace_back(kind);
    fields.emplace_back(after);
    return http::encode_cursor(fields);
}

}  // namespace

Task<Result<domain::Payment>> Reader::get(CallContext ctx, std::string id) {
    auto payment = co_await store::get_payment(database_, std::move(id), ctx.deadline);
    if (!payment) co_return payment.error();
    if (!payment->has_value() || !may_see(ctx.identity, **payment))
        co_return not_found("There is no such payment.");
    co_return std::move(**payment);
}

Task<Result<std::optional<domain::Payment>>> Reader::get_of_order(
    CallContext ctx, std::string order_id
) {
    auto payment =
        co_await store::get_payment_of_order(database_, std::move(order_id), ctx.deadline);
    if (payment && payment->has_value() && !may_see(ctx.identity, **payment)) payment->reset();
    co_return payment;
}

Task<Result<Reader::AuditPage>> Reader::audit(
    CallContext ctx, std::string cursor, std::size_t limit
) {
    if (cursor.empty()) co_return co_await audit_payments(ctx.deadline, std::string(), limit);
    auto fields = http::decode_cursor(cursor, 2);
    if (!fields) co_return fields.error();
    const std::string kind = (*fields)[0];
    const std::string after = (*fields)[1];
    if (kind == "payment") co_return co_await audit_payments(ctx.deadline, after, limit);
    if (kind == "ledger") co_return co_await audit_ledger(ctx.deadline);
    if (kind == "provider") co_return co_await audit_provider(after, limit);
    co_return invalid("bad_cursor", "The cursor is not one of ours.");
}

Task<Result<Reader::AuditPage>> Reader::audit_payments(
    Deadline deadline, std::string after, std::size_t limit
) {
    auto payments = co_await store::list_payments(database_, std::move(after), limit, deadline);
    if (!payments) co_return payments.error();
    AuditPage page;
    for (const auto& payment : *payments) {
        json::object row;
        row["kind"] = "payment";
        row["order_id"] = payment.order_id;
        row["payment_id"] = payment.id;
        row["status"] = payment.status;
        row["amount"] = payment.total.amount;
        row["currency"] = payment.total.currency.code();
        page.rows.push_back(std::move(row));
    }
    page.next_cursor = payments->size() < limit ? cursor_to("ledger", "")
                                                : cursor_to("payment", payments->back().order_id);
    co_return page;
}

Task<Result<Reader::AuditPage>> Reader::audit_ledger(Deadline deadline) {
    auto sums = co_await store::sum_ledger(database_, deadline);
    if (!sums) co_return sums.error();
    AuditPage page;
    for (const auto& sum : *sums) {
        json::object row;
        row["kind"] = "ledger";
        row["currency"] = sum.currency;
        row["sum"] = sum.sum;
        row["entries"] = sum.entries;
        page.rows.push_back(std::move(row));
    }
    page.next_cursor = cursor_to("provider", "");
    co_return page;
}

Task<Result<Reader::AuditPage>> Reader::audit_provider(std::string after, std::size_t limit) {
    auto books = co_await provider_->books(std::move(after), limit);
    if (!books) co_return books.error();
    AuditPage page;
    for (const auto& book : *books) {
        json::object row;
        row["kind"] = "provider";
        row["order_id"] = book.order_id;
        row["captures"] = book.captures;
        row["refunds"] = book.refunds;
        row["amount"] = book.amount;
        row["currency"] = book.currency;
        page.rows.push_back(std::move(row));
    }
    if (books->size() == limit) page.next_cursor = cursor_to("provider", books->back().order_id);
    co_return page;
}

}  // namespace souk::payment::app
