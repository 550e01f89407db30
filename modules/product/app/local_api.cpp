#include "app/local_api.hpp"

#include "app/reserve.hpp"
#include "app/settle.hpp"

namespace souk::product::app {

Task<Result<std::vector<ReservedProduct>>> LocalApi::reserve(
    CallContext ctx, std::string order_id, std::vector<ReserveLine> lines
) {
    return app::reserve(services_, std::move(order_id), std::move(lines), ctx.deadline);
}

Task<Result<void>> LocalApi::release(CallContext ctx, std::string order_id) {
    return app::release(services_, std::move(order_id), ctx.deadline);
}

}  // namespace souk::product::app
