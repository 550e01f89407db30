#include "client/client.hpp"

#include "souk/wire.hpp"

namespace souk::wire {

template <>
struct Struct<order::OrderLine> {
    using T = order::OrderLine;
    static constexpr auto required = members(
        member("product_id", &T::product_id),
        member("sku", &T::sku),
        member("name", &T::name),
        member("quantity", &T::quantity),
        member("unit_price", &T::unit_price),
        member("total", &T::total)
    );
};

template <>
struct Struct<order::Order> {
    using T = order::Order;
    static constexpr auto required = members(
        member("id", &T::id),
        member("number", &T::number),
        member("user_id", &T::user_id),
        member("status", &T::status),
        member("total", &T::total)
    );
    static constexpr auto defaulted = members(
        member("cancel_reason", &T::cancel_reason),
        member("version", &T::version),
        member("placed_at", &T::placed_at),
        member("lines", &T::lines)
    );
};

template <>
struct Methods<order::Api> {
    static constexpr auto list = methods(method<&order::Api::get_many>("get_many", "ids"));
};

}  // namespace souk::wire

namespace souk::order::client {

namespace {

class Client final : public wire::Client<Api> {
public:
    using wire::Client<Api>::Client;

    Task<Result<std::vector<Order>>> get_many(CallContext ctx, std::vector<std::string> ids)
        override {
        return call<&Api::get_many>(std::move(ctx), ids);
    }
};

}  // namespace

std::shared_ptr<void> connect(Remote& remote) {
    return wire::connect<Client, Api>(remote);
}

http::Routes serve(Api& api, http::Routes routes) {
    return wire::serve(api, std::move(routes));
}

}  // namespace souk::order::client
