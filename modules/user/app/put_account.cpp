#include "app/put_account.hpp"

#include "souk/id.hpp"
#include "store/accounts.hpp"
#include "store/sessions.hpp"

namespace souk::user::app {

namespace {

struct Put {
    Put(store::Login account, bool reset) : account(std::move(account)), reset(reset) {}
    const store::Login account;
    const bool reset;
    User result;
};

Task<Result<void>> reset(Transaction& tx, std::shared_ptr<Put> put) {
    auto user = co_await store::put_account(tx, put->account);
    if (!user) co_return user.error();
    put->result = std::move(*user);
    if (put->result.id == put->account.user.id) co_return Result<void>();  // a new one
    // Whoever holds a token signed in with the old password or has the old role in it.
    co_return co_await store::revoke_sessions_of(tx, put->result.id, put->account.user.created_at);
}

Task<Result<void>> create(Transaction& tx, std::shared_ptr<Put> put) {
    auto inserted = co_await store::insert_account(tx, put->account);
    if (!inserted && inserted.error().code == "unique_violation")
        co_return conflict("email_taken", "An account with this e-mail exists.");
    put->result = put->account.user;
    co_return inserted;
}

}  // namespace

Task<Result<User>> put_account(Services& services, AccountInput input, Deadline deadline) {
    auto hash = co_await services.hasher.hash(std::move(input.password));
    if (!hash) co_return hash.error();
    User user;
    user.created_at = services.clock.now();
    user.id = make_id("usr", user.created_at);
    user.email = domain::normalized_email(input.email);
    user.name = std::move(input.name);
    user.role = std::move(input.role);
    store::Login account(std::move(user), std::move(*hash));
    auto put = std::make_shared<Put>(std::move(account), input.reset);
    TransactionBody body = [put](Transaction& tx) {
        return put->reset ? reset(tx, put) : create(tx, put);
    };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return std::move(put->result);
}

}  // namespace souk::user::app
