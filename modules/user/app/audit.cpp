#include "app/audit.hpp"

#include "store/sessions.hpp"

namespace souk::user::app {

Task<Result<Audit>> audit(Services& services, Deadline deadline) {
    auto roles = co_await store::count_roles(services.database, deadline);
    if (!roles) co_return roles.error();
    auto revocations = co_await store::count_revocations(services.database, deadline);
    if (!revocations) co_return revocations.error();
    Audit out;
    out.roles = std::move(*roles);
    out.revocations = *revocations;
    co_return out;
}

}  // namespace souk::user::app
