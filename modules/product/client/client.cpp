#include "client/client.hpp"

#include "souk/wire.hpp"

namespace souk::wire {

template <>
struct Struct<product::ReserveLine> {
    using T = product::ReserveLine;
    static constexpr auto required =
        members(member("product_id", &T::product_id), member("quantity", &T::quantity));
};

template <>
struct Struct<product::ReservedProduct> {
    using T = product::ReservedProduct;
    static constexpr auto required = members(
        member("product_id", &T::product_id),
        member("sku", &T::sku),
        member("name", &T::name),
        member("unit_price", &T::unit_price),
        member("currency", &T::currency)
    );
};

template <>
struct Methods<product::Api> {
    static constexpr auto list = methods(
        method<&product::Api::reserve>("reserve", "order_id", "lines"),
        method<&product::Api::release>("release", "order_id")
    );
};

}  // namespace souk::wire

namespace souk::product::client {

namespace {

class Client final : public wire::Client<Api> {
public:
    using wire::Client<Api>::Client;

    Task<Result<std::vector<ReservedProduct>>> reserve(
        CallContext ctx, std::string order_id, std::vector<ReserveLine> lines
    ) override {
        return call<&Api::reserve>(std::move(ctx), order_id, lines);
    }
    Task<Result<void>> release(CallContext ctx, std::string order_id) override {
        return call<&Api::release>(std::move(ctx), order_id);
    }
};

}  // namespace

std::shared_ptr<void> connect(Remote& remote) {
    return wire::connect<Client, Api>(remote);
}

http::Routes serve(Api& api, http::Routes routes) {
    return wire::serve(api, std::move(routes));
}

}  // namespace souk::product::client
