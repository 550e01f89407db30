// payment::Api for modules in the same process.
#pragma once

#include "souk/database.hpp"
#include "souk/payment/api.hpp"

namespace souk::payment::app {

class LocalApi final : public Api {
public:
    LocalApi(Database& database, const Clock& clock) : database_(database), clock_(clock) {}
    Task<Result<VoidOutcome>> void_order(CallContext ctx, std::string order_id) override;

private:
    Database& database_;
    const Clock& clock_;
};

}  // namespace souk::payment::app
