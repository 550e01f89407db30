#include "client/client.hpp"

#include "souk/wire.hpp"

namespace souk::wire {

template <>
struct Struct<user::User> {
    using T = user::User;
    static constexpr auto required = members(
        member("id", &T::id),
        member("email", &T::email),
        member("name", &T::name),
        member("role", &T::role),
        member("created_at", &T::created_at)
    );
};

template <>
struct Struct<user::SigningKey> {
    using T = user::SigningKey;
    static constexpr auto required =
        members(member("kid", &T::kid), member("public_key", &T::public_key));
};

template <>
struct Struct<user::Revocation> {
    using T = user::Revocation;
    static constexpr auto required =
        members(member("position", &T::position), member("session", &T::session));
};

template <>
struct Methods<user::Api> {
    static constexpr auto list = methods(
        method<&user::Api::get_many>("get_many", "ids"),
        method<&user::Api::signing_keys>("signing_keys"),
        method<&user::Api::revocations>("revocations", "after")
    );
};

}  // namespace souk::wire

namespace souk::user::client {

namespace {

class Client final : public wire::Client<Api> {
public:
    using wire::Client<Api>::Client;

    Task<Result<std::vector<User>>> get_many(CallContext ctx, std::vector<std::string> ids)
        override {
        return call<&Api::get_many>(std::move(ctx), ids);
    }
    Task<Result<std::vector<SigningKey>>> signing_keys(CallContext ctx) override {
        return call<&Api::signing_keys>(std::move(ctx));
    }
    Task<Result<std::vector<Revocation>>> revocations(CallContext ctx, std::int64_t after)
        override {
        return call<&Api::revocations>(std::move(ctx), after);
    }
};

}  // namespace

std::shared_ptr<void> connect(Remote& remote) {
    return wire::connect<Client, Api>(remote);
}

http::Routes serve(Api& api, http::Routes routes) {
    return wire::serve(api, std::move(routes));
}

}  // namespace souk::user::client
