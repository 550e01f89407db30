// Takes customers over from another system. They have no password, so they cannot sign in.
#pragma once

#include "app/services.hpp"
#include "store/accounts.hpp"

namespace souk::user::app {

inline constexpr std::size_t max_import = 500;

struct CustomerImport {
    CustomerImport() = default;
    std::string source;
    std::vector<store::ImportedCustomer> customers;
};

/// Ids in the order of the customers; the same (source, external_ref) keeps its id for ever.
/// Errors: the database's.
Task<Result<std::vector<store::ImportedId>>> import_customers(
    Services& services, CustomerImport input, Deadline deadline
);

}  // namespace souk::user::app
