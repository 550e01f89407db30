#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/seeding.hpp"
#include "host/data_folder.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace souk::cli {
namespace {

Task<int> seed_products(host::ControlClient& shop) {
    const auto count = co_await seed_catalogue(shop);
    if (!count) co_return report(count.error());
    fmt::print("{} products in the catalogue\n", *count);
    co_return exit_ok;
}

int hand_over(const SeedOptions& options, const std::string& password) {
    if (options.credentials_file.empty()) {
        fmt::print(
            "{} ({}), password, shown this once: {}\n", options.email, options.role, password
        );
        return exit_ok;
    }
    json::object credentials;
    credentials["email"] = options.email;
    credentials["password"] = password;
    const auto written = host::write_private_file(
        options.credentials_file, json::serialize(std::move(credentials)) + '\n'
    );
    if (!written)
        return report(Error(ErrorKind::unavailable, "credentials", written.error().detail));
    fmt::print(
        "{} ({}), credentials in {}\n", options.email, options.role, options.credentials_file
    );
    return exit_ok;
}

Task<int> seed_account(host::ControlClient& shop, const SeedOptions& options) {
    std::string name = options.name.empty() ? options.role : options.name;
    NewAccount account(options.email, std::move(name), options.role);
    const auto password = co_await put_account(shop, std::move(account));
    if (!password) co_return report(password.error());
    co_return hand_over(options, *password);
}

}  // namespace

int seed(const SeedOptions& options) {
    return with_shop(options.common, [&](host::ControlClient& shop) -> Task<int> {
        if (options.demo) {
            const int code = co_await seed_products(shop);
            if (code != exit_ok) co_return code;
        }
        if (!options.email.empty()) co_return co_await seed_account(shop, options);
        co_return exit_ok;
    });
}

}  // namespace souk::cli
