// product::Api inside the process that has the module.
#pragma once

#include "app/services.hpp"
#include "souk/product/api.hpp"

namespace souk::product::app {

class LocalApi final : public Api {
public:
    explicit LocalApi(Services& services) : services_(services) {}
    Task<Result<std::vector<ReservedProduct>>> reserve(
        CallContext ctx, std::string order_id, std::vector<ReserveLine> lines
    ) override;
    Task<Result<void>> release(CallContext ctx, std::string order_id) override;

private:
    Services& services_;
};

}  // namespace souk::product::app
