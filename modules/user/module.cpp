// Wires the user module together: accounts, sign-in, sessions and their revocation.
#include "souk/module.hpp"

#include "app/local_api.hpp"
#include "app/services.hpp"
#include "client/client.hpp"
#include "http/routes.hpp"
#include "security/tokens.hpp"
#include "souk/embedded.hpp"

namespace souk::embedded {
std::span<const File> user();
}

namespace souk::user {

namespace {

class UserModule final : public Module {
public:
    explicit UserModule(ModuleDeps deps)
        : services_(deps.database, deps.clock, deps.limiter, deps.settings)
        , key_file_(deps.data / "signing.key")
        , api_(services_) {
        deps.peers.provide<Api>(api_);
    }

    http::Routes routes() override { return http_api::routes(services_); }
    http::Routes internal_routes() override {
        return client::serve(api_, http_api::internal_routes(services_));
    }

    Task<Result<void>> start() override {
        auto key = security::SigningKeyPair::load_or_create(key_file_);
        if (!key) co_return key.error();
        services_.signing_key = std::move(*key);
        co_return Result<void>();
    }

private:
    app::Services services_;
    const std::filesystem::path key_file_;
    app::LocalApi api_;
};

}  // namespace

const ModuleInfo& module() {
    static const ModuleInfo info{
        .name = "user",
        .calls = {},
        .publishes = {},
        .listens = {},
        .migrations = migrations_from(embedded::user()),
        .port = 3001,
        .create = [](ModuleDeps deps) -> std::unique_ptr<Module> {
            return std::make_unique<UserModule>(std::move(deps));
        },
        .connect = client::connect,
    };
    return info;
}

}  // namespace souk::user
