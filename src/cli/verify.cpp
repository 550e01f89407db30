// `souk verify`: reads the books of all modules and judges them.
#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "cli/verify/judge.hpp"
#include "cli/verify/read_books.hpp"
#include "host/control_peers.hpp"
#include "host/registry.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

namespace souk::cli {
namespace {

constexpr milliseconds reread_pause{200};
constexpr std::size_t shown = 20;

/// Reads and judges again while something is under way and `settle` has not passed.
Task<Result<Verdict>> settled_verdict(host::ControlClient& shop, seconds settle) {
    Clock& clock = base::system_clock();
    const Deadline give_up(clock, settle);
    for (;;) {
        auto books = co_await read_books(shop);
        if (!books) co_return books.error();
        Verdict verdict = judge(*books);
        if (verdict.in_flight.empty() || give_up.passed(clock)) co_return verdict;
        co_await clock.sleep(reread_pause);
    }
}

json::array to_array(const std::vector<std::string>& texts) {
    json::array out;
    for (const std::string& text : texts)
        out.push_back(json::value(text));
    return out;
}

void print_json(const Verdict& verdict) {
    json::object counts;
    for (const auto& [name, count] : verdict.counts)
        counts[name] = count;
    json::object out;
    out["agrees"] = verdict.violations.empty();
    out["violations"] = to_array(verdict.violations);
    out["in_flight"] = to_array(verdict.in_flight);
    out["counts"] = std::move(counts);
    fmt::print("{}\n", json::serialize(std::move(out)));
}

void print_some(std::string_view label, const std::vector<std::string>& lines) {
    for (std::size_t i = 0; i < lines.size() && i < shown; ++i)
        fmt::print("{}  {}\n", label, lines[i]);
    if (lines.size() > shown) fmt::print("{}  and {} more\n", label, lines.size() - shown);
}

void print_words(const Verdict& verdict) {
    const Style style(STDOUT_FILENO);
    for (const auto& [name, count] : verdict.counts)
        fmt::print("{:<20} {}\n", name, count);
    print_some("under way", verdict.in_flight);
    print_some("BROKEN", verdict.violations);
    if (verdict.violations.empty())
        fmt::print("{}the books agree{}\n", style.green, style.reset);
    else
        fmt::print(
            "{}the books do not agree: {} broken{}\n",
            style.red,
            verdict.violations.size(),
            style.reset
        );
}

Task<int> verify_shop(host::ControlClient& shop, const VerifyOptions& options) {
    auto verdict = co_await settled_verdict(shop, seconds(options.settle_s));
    if (!verdict) co_return report(verdict.error());
    if (options.settle_s > 0)
        for (const std::string& stuck : verdict->in_flight)
            verdict->violations.push_back("still under way: " + stuck);
    if (options.as_json)
        print_json(*verdict);
    else
        print_words(*verdict);
    co_return verdict->violations.empty() ? exit_ok : exit_failed;
}

}  // namespace

int verify(const VerifyOptions& options) {
    // Opening a folder makes a shop of it; the books of an empty one would agree, whatever was
    // meant. On servers, or split, the shop is there, whatever the folder holds.
    const auto config = load_config(options.common);
    if (!config) return report(config.error());
    const std::filesystem::path data = config->text("data.dir");
    const bool embedded = config->text("postgres.url").empty();
    const bool split = host::has_peers(*config, souk::modules());
    if (embedded && !split && !std::filesystem::exists(data / "souk.lock"))
        return report(
            Error(ErrorKind::invalid, "usage", fmt::format("there is no shop in {}", data.string()))
        );
    return with_shop(options.common, [&](host::ControlClient& shop) -> Task<int> {
        co_return co_await verify_shop(shop, options);
    });
}

}  // namespace souk::cli
