// user::Api for modules in the same process.
#pragma once

#include "app/services.hpp"
#include "souk/user/api.hpp"

namespace souk::user::app {

class LocalApi final : public Api {
public:
    explicit LocalApi(Services& services) : services_(services) {}
    Task<Result<std::vector<User>>> get_many(CallContext ctx, std::vector<std::string> ids)
        override;
    Task<Result<std::vector<SigningKey>>> signing_keys(CallContext ctx) override;
    Task<Result<std::vector<Revocation>>> revocations(CallContext ctx, std::int64_t after) override;

private:
    Services& services_;
};

}  // namespace souk::user::app
