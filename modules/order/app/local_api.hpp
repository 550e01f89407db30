// order::Api inside the process that has the module.
#pragma once

#include "app/services.hpp"
#include "souk/order/api.hpp"

namespace souk::order::app {

class LocalApi final : public Api {
public:
    explicit LocalApi(Services& services) : services_(services) {}
    Task<Result<std::vector<Order>>> get_many(CallContext ctx, std::vector<std::string> ids)
        override;

private:
    Services& services_;
};

}  // namespace souk::order::app
