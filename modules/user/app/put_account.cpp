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

Task<Result<void>> write(Transaction& tx, std::shared_ptr<Put> put) {
    const Timestamp now = put->account.user.created_at;
    if (put->reset) {
        auto changed = co_await store::reset_account(tx, put->account, now);
        if (!changed) co_return changed.error();
        if (changed->has_value()) {
            put->result = **changed;
            // Whoever holds a token signed in with the old password or has the old role in it.
            co_return co_await store::revoke_sessions_of(tx, put->result.id, now);
        }
    }
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
    TransactionBody body = [put](Transaction& tx) { return write(tx, put); };
    auto committed = co_await services.database.transact(std::move(body), deadline);
    if (!committed) co_return committed.error();
    co_return std::move(put->result);
}

}  // namespace souk::user::app
