#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/seeding.hpp"
#include "host/process.hpp"
#include "host/registry.hpp"
#include "observe/logging.hpp"
#include "observe/prometheus_metrics.hpp"
#include "souk/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace souk::cli {
namespace {

constexpr std::string_view admin_email = "admin@example.com";

/// A session that works as it is in any POSIX shell, with curl, sed and grep.
constexpr std::string_view session = R"sh(SHOP={url}
STAMP=$(date +%s)-$$
TOKEN=$(curl -s $SHOP/api/users/register -H 'Content-Type: application/json' \
  -d '{{"email":"ann-'$STAMP'@example.com","name":"Ann","password":"a long demo password"}}' |
  sed 's/.*"access_token":"\([^"]*\)".*/\1/')
PRODUCT=$(curl -s "$SHOP/api/products?limit=1" | grep -o '"id":"prd_[^"]*"' | sed 's/"id":"\(.*\)"/\1/')
ORDER=$(curl -s $SHOP/api/orders -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $STAMP" \
  -H 'Content-Type: application/json' \
  -d '{{"items":[{{"product_id":"'$PRODUCT'","quantity":2}}],"payment":{{"token":"tok_approve"}}}}' |
  sed 's/.*"id":"\(ord_[^"]*\)".*/\1/')
for TRY in 1 2 3 4 5 6 7 8 9 10; do
  curl -s $SHOP/api/orders/$ORDER -H "Authorization: Bearer $TOKEN" | grep '"status":"paid"' && break
  sleep 1
done
)sh";

std::string public_url(const host::Host& host) {
    const std::string& address = host.config().text("http.address");
    std::string shown = address == "0.0.0.0" || address == "::" ? "127.0.0.1" : address;
    if (shown.find(':') != std::string::npos) shown = '[' + shown + ']';
    return fmt::format("http://{}:{}", shown, host.port());
}

/// What the demo adds to an ordinary shop.
struct Demo {
    std::string admin_password;
    std::size_t products = 0;  // put there now
};

Task<Result<void>> prepare_demo(host::Host& host, Demo& demo) {
    const auto shop = host::ControlClient::on(host);
    const auto empty = co_await is_empty(*shop);
    if (!empty) co_return empty.error();
    if (*empty) {
        const auto count = co_await seed_catalogue(*shop);
        if (!count) co_return count.error();
        demo.products = *count;
    }
    NewAccount admin(std::string(admin_email), "Administrator", "admin");
    auto password = co_await put_account(*shop, std::move(admin));
    if (!password) co_return password.error();
    demo.admin_password = std::move(*password);
    co_return Result<void>();
}

void print_demo(const std::string& url, const Demo& demo) {
    const Style style(STDOUT_FILENO);
    if (demo.products > 0) fmt::print("{} products were put into the catalogue.\n", demo.products);
    fmt::print(
        "The administrator is {}, password {}{}{} (new with every start).\n\n",
        admin_email,
        style.bold,
        demo.admin_password,
        style.reset
    );
    fmt::print(
        "{}To place an order, paste this into another terminal:{}\n\n", style.dim, style.reset
    );
    fmt::print(fmt::runtime(session), fmt::arg("url", url));
    fmt::print("\n");
}

void announce(const host::Host& host) {
    const std::string url = public_url(host);
    const std::string metrics = fmt::format(
        "http://{}:{}/metrics", host.config().text("metrics.address"), host.metrics_port()
    );
    const std::string& data = host.config().text("data.dir");
    if (host.config().text("log.format") == "json") {
        Logger("host").info("ready", {{"url", url}, {"metrics", metrics}, {"data", data}});
        return;
    }
    const Style style(STDOUT_FILENO);
    fmt::print(
        "{}souk is ready{} at {}{}{} (metrics {}, data in {})\n",
        style.green,
        style.reset,
        style.bold,
        url,
        style.reset,
        metrics,
        data
    );
}

}  // namespace

int serve(const ServeOptions& options) {
    auto config = load_config(options.common);
    if (!config) return report(config.error());
    observe::configure_logging(config->text("log.level"), config->text("log.format"));
    const auto metrics = observe::make_metrics();

    host::HostOptions wanted;
    wanted.available = souk::modules();
    wanted.wanted = options.modules;
    wanted.version = SOUK_VERSION;
    wanted.takeover = options.takeover;

    Demo demo;
    host::ServerHooks hooks;
    if (options.demo)
        hooks.before_listen = [&demo](host::Host& host) { return prepare_demo(host, demo); };
    hooks.ready = [&](host::Host& host) {
        announce(host);
        if (options.demo) print_demo(public_url(host), demo);
        std::fflush(stdout);  // whoever reads a pipe waits for it
    };
    const auto outcome = host::run_server(
        std::move(*config), std::move(wanted), base::system_clock(), *metrics, std::move(hooks)
    );
    observe::flush_logs();
    return outcome ? exit_ok : report(outcome.error());
}

}  // namespace souk::cli
