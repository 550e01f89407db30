// The table `users`. Errors of every function: the database's.
#pragma once

#include "souk/database.hpp"
#include "souk/user/api.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::user::store {

/// An account that can sign in.
struct Login {
    Login(User user, std::string password_hash)
        : user(std::move(user)), password_hash(std::move(password_hash)) {}
    User user;
    std::string password_hash;
};

struct ImportedCustomer {
    ImportedCustomer() = default;
    std::string external_ref;
    std::string name;
    std::string email;
    std::string country;
};

struct ImportedId {
    ImportedId() = default;
    ImportedId(std::string external_ref, std::string id)
        : external_ref(std::move(external_ref)), id(std::move(id)) {}
    std::string external_ref;
    std::string id;
};

struct RoleCount {
    RoleCount(std::string role, std::int64_t users) : role(std::move(role)), users(users) {}
    std::string role;
    std::int64_t users;
};

Task<Result<std::optional<Login>>> find_login(
    Database& database, std::string email, Deadline deadline
);
Task<Result<std::vector<User>>> find_users(
    Database& database, std::vector<std::string> ids, Deadline deadline
);
Task<Result<std::vector<RoleCount>>> count_roles(Database& database, Deadline deadline);

/// Errors: `conflict` "unique_violation" when somebody signs in with that e-mail.
Task<Result<void>> insert_account(Transaction& tx, Login account);
/// Inserts the account, or sets name, role and password of the one with that e-mail: then its id is
/// another one. Its row is locked until `tx` ends.
Task<Result<User>> put_account(Transaction& tx, Login account);
/// Whether the account still has that password. Until `tx` ends no reset can change it.
Task<Result<bool>> has_password(Transaction& tx, std::string id, std::string password_hash);
/// Inserts or updates by (source, external_ref), locking in ascending order of it; ids in the order
/// of `customers`.
Task<Result<std::vector<ImportedId>>> upsert_customers(
    Transaction& tx, std::string source, std::vector<ImportedCustomer> customers, Timestamp now
);

/// Columns: id, email, name, role, created_at.
User user_of(const Rows::Row& row);

}  // namespace souk::user::store
