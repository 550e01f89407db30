#include "app/local_api.hpp"

#include "store/orders.hpp"

namespace souk::order::app {

namespace {

constexpr std::size_t max_ids = 200;

}  // namespace

Task<Result<std::vector<Order>>> LocalApi::get_many(CallContext ctx, std::vector<std::string> ids) {
    if (ids.size() > max_ids) co_return invalid("too_many_ids", "at most 200 ids");
    co_return co_await store::find_orders(services_.database, std::move(ids), ctx.deadline);
}

}  // namespace souk::order::app
