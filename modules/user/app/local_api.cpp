#include "app/local_api.hpp"

#include "store/accounts.hpp"
#include "store/sessions.hpp"

namespace souk::user::app {

Task<Result<std::vector<User>>> LocalApi::get_many(CallContext ctx, std::vector<std::string> ids) {
    if (ids.size() > 500) co_return invalid("too_many_ids", "At most 500 ids a call.");
    co_return co_await store::find_users(services_.database, std::move(ids), ctx.deadline);
}

Task<Result<std::vector<SigningKey>>> LocalApi::signing_keys(CallContext) {
    std::vector<SigningKey> keys;
    keys.emplace_back(services_.signing_key->kid(), services_.signing_key->public_key());
    co_return keys;
}

Task<Result<std::vector<Revocation>>> LocalApi::revocations(CallContext ctx, std::int64_t after) {
    co_return co_await store::revocations_after(services_.database, after, ctx.deadline);
}

}  // namespace souk::user::app
