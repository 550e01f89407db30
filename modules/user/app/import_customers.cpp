#include "app/import_customers.hpp"

namespace souk::user::app {

namespace {

struct Import {
    Import(CustomerImport input, Timestamp now) : input(std::move(input)), now(now) {}
    const CustomerImport input;
    const Timestamp now;
    std::vector<store::ImportedId> ids;
};

Task<Result<void>> upsert(Transaction& tx, std::shared_ptr<Import> import) {
    auto ids = co_await store::upsert_customers(
        tx, import->input.source, import->input.customers, import->now
    );
    if (!ids) co_return ids.error();
    import->ids = std::move(*ids);
    co_return Result<void>();
}

}  // namespace

Task<Result<std::vector<store::ImportedId>>> import_customers(
    Services& services, CustomerImport input, Deadline deadline
) {
    for (auto& customer : input.customers)
        customer.email = domain::normalized_email(customer.email);
    auto import = std::make_shared<Import>(std::move(input), services.clock.now());
    TransactionBody body = [import](Transaction& tx) { return upsert(tx, import); };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return std::move(import->ids);
}

}  // namespace souk::user::app
