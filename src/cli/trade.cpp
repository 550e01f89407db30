// `souk import online-retail` and `souk replay online-retail`: a data set against a running shop.
#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/online_retail/import.hpp"
#include "cli/online_retail/replay.hpp"
#include "host/process.hpp"

#include <fmt/format.h>

#include <fstream>

namespace souk::cli {
namespace {

struct Trade {
    RetailData data;
    http::ClientTarget target;
    Credentials credentials;
};

/// All that can be wrong before the shop is asked anything.
Result<Trade> prepare(const TradeOptions& options) {
    auto target = http::ClientTarget::parse(options.url);
    if (!target) return Error(ErrorKind::invalid, "usage", target.error().detail);
    auto credentials = Credentials::load(options.credentials_file);
    if (!credentials) return credentials.error();
    auto data = read_online_retail(options.file);
    if (!data) return data.error();
    Trade trade;
    trade.data = std::move(*data);
    trade.target = std::move(*target);
    trade.credentials = std::move(*credentials);
    return trade;
}

Task<int> import_into(Executor executor, const Trade& trade, bool as_json) {
    Clock& clock = base::system_clock();
    Account account(executor, trade.target, trade.credentials, clock);
    ApiConnection shop(executor, trade.target, account, clock);
    const auto imported = co_await import_retail(shop, trade.data);
    if (!imported) co_return report(imported.error());
    if (as_json) {
        json::object out;
        out["products"] = imported->products;
        out["unpublished"] = imported->unpublished;
        out["customers"] = imported->customers;
        fmt::print("{}\n", json::serialize(std::move(out)));
        co_return exit_ok;
    }
    fmt::print(
        "{} products ({} without a price, unpublished) and {} customers are in the shop\n",
        imported->products,
        imported->unpublished,
        imported->customers
    );
    co_return exit_ok;
}

bool write_report(const std::string& file, const std::string& text) {
    std::ofstream out(file);
    out << text << '\n';
    return static_cast<bool>(out.flush());
}

Task<int> replay_into(Executor executor, const Trade& trade, const TradeOptions& options) {
    ReplayOptions replay;
    replay.target = trade.target;
    replay.credentials = trade.credentials;
    replay.connections = options.connections;
    const auto replayed =
        co_await replay_retail(executor, base::system_clock(), std::move(replay), trade.data);
    if (!replayed) co_return report(replayed.error());
    const std::string as_json = json::serialize(to_json(*replayed, trade.data));
    if (!options.report_file.empty() && !write_report(options.report_file, as_json))
        co_return report(unavailable("report", options.report_file + ": cannot be written"));
    fmt::print("{}", options.as_json ? as_json + '\n' : to_text(*replayed, trade.data));
    co_return replayed->agrees() ? exit_ok : exit_failed;
}

}  // namespace

int import_online_retail(const TradeOptions& options) {
    const auto trade = prepare(options);
    if (!trade) return report(trade.error());
    int code = exit_failed;
    host::run_task([&](Executor executor) -> Task<void> {
        code = co_await import_into(executor, *trade, options.as_json);
    });
    return code;
}

int replay_online_retail(const TradeOptions& options) {
    const auto trade = prepare(options);
    if (!trade) return report(trade.error());
    int code = exit_failed;
    host::run_task([&](Executor executor) -> Task<void> {
        code = co_await replay_into(executor, *trade, options);
    });
    return code;
}

}  // namespace souk::cli
