#include "client/client.hpp"

#include "souk/wire.hpp"

namespace souk::wire {

template <>
struct Enum<payment::VoidOutcome> {
    using E = payment::VoidOutcome;
    static constexpr std::array names{
        named(E::fenced, "fenced"), named(E::captured, "captured"), named(E::unknown, "unknown")};
};

template <>
struct Methods<payment::Api> {
    static constexpr auto list =
        methods(method<&payment::Api::void_order>("void_order", "order_id"));
};

}  // namespace souk::wire

namespace souk::payment::client {

namespace {

class Client final : public wire::Client<Api> {
public:
    using wire::Client<Api>::Client;

    Task<Result<VoidOutcome>> void_order(CallContext ctx, std::string order_id) override {
        return call<&Api::void_order>(std::move(ctx), order_id);
    }
};

}  // namespace

std::shared_ptr<void> connect(Remote& remote) {
    return wire::connect<Client, Api>(remote);
}

http::Routes serve(Api& api, http::Routes routes) {
    return wire::serve(api, std::move(routes));
}

}  // namespace souk::payment::client
