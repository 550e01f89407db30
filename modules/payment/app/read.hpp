// What people and the operator's commands read: payments, and the audit's pages.
#pragma once

#include "app/provider.hpp"
#include "domain/payment.hpp"
#include "souk/context.hpp"
#include "souk/database.hpp"
#include "souk/json.hpp"

#include <optional>
#include <string>

namespace souk::payment::app {

class Reader {
public:
    Reader(Database& database, std::shared_ptr<Provider> provider)
        : database_(database), provider_(std::move(provider)) {}

    /// The payment, when the caller owns it or may read all. Errors: `not_found`.
    Task<Result<domain::Payment>> get(CallContext ctx, std::string id);
    /// Nothing when there is none that the caller may see.
    Task<Result<std::optional<domain::Payment>>> get_of_order(
        CallContext ctx, std::string order_id
    );

    struct AuditPage {
        AuditPage() = default;
        json::array rows;
        std::string next_cursor;  // empty: no more
    };
    /// Payments by order, then the ledger's sums, then the provider's own books; a page holds rows
    /// of one kind. Errors: `invalid` "bad_cursor".
    Task<Result<AuditPage>> audit(CallContext ctx, std::string cursor, std::size_t limit);

private:
    Task<Result<AuditPage>> audit_payments(Deadline deadline, std::string after, std::size_t limit);
    Task<Result<AuditPage>> audit_ledger(Deadline deadline);
    Task<Result<AuditPage>> audit_provider(std::string after, std::size_t limit);

    Database& database_;
    std::shared_ptr<Provider> provider_;
};

}  // namespace souk::payment::app
