#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace souk::cli {
namespace {

constexpr std::string_view path = "/internal/events/dead";

/// What the shop answered instead of doing it.
Error refusal(const http::Response& response) {
    std::string detail = response.body;
    const auto problem = json::parse(response.body);
    if (problem && problem->is_object())
        if (const json::value* words = problem->as_object().if_contains("detail"))
            if (words->is_string()) detail = std::string(words->as_string());
    return Error(error_kind_of(response.status), "refused", std::move(detail));
}

Task<Result<json::array>> read_letters(host::ControlClient& shop) {
    auto response = co_await shop.send(http::Method::get, std::string(path));
    if (!response) co_return response.error();
    if (response->status != 200) co_return refusal(*response);
    auto body = json::parse(response->body);
    if (!body) co_return body.error();
    co_return std::move(body->at("data").as_array());
}

/// The types are the shop's own, see host::event_routes.
std::string_view text(const json::value& object, std::string_view member) {
    return object.at(member).as_string();
}

void print(const json::array& letters) {
    const Style style(STDOUT_FILENO);
    if (letters.empty()) fmt::print("no dead letters\n");
    for (const json::value& letter : letters) {
        const json::value& event = letter.at("event");
        fmt::print(
            "{}{} {}{}  {} of {}, version {}, {}, {} tries\n    {}\n",
            style.bold,
            text(letter, "consumer"),
            text(event, "id"),
            style.reset,
            text(event, "type"),
            text(event, "aggregate_id"),
            event.at("version").as_int64(),
            text(event, "time"),
            letter.at("attempts").as_int64(),
            text(letter, "last_error")
        );
    }
}

Task<int> list(host::ControlClient& shop, bool as_json) {
    auto letters = co_await read_letters(shop);
    if (!letters) co_return report(letters.error());
    if (as_json) {
        json::object out;
        out["data"] = std::move(*letters);
        fmt::print("{}\n", json::serialize(out));
    } else {
        print(*letters);
    }
    co_return exit_ok;
}

Task<Result<void>> change(
    host::ControlClient& shop, std::string_view action, std::string consumer, std::string event_id
) {
    json::object body;
    body["consumer"] = std::move(consumer);
    body["event_id"] = std::move(event_id);
    std::string target = fmt::format("{}/{}", path, action);
    auto response =
        co_await shop.send(http::Method::post, std::move(target), json::serialize(body));
    if (!response) co_return response.error();
    if (response->status >= 300) co_return refusal(*response);
    co_return Result<void>();
}

Task<int> change_one(
    host::ControlClient& shop, const DeadLetterOptions& options, std::string_view action
) {
    auto changed = co_await change(shop, action, options.consumer, options.event_id);
    if (!changed) co_return report(changed.error());
    fmt::print("{} {}: {}\n", options.consumer, options.event_id, action);
    co_return exit_ok;
}

Task<int> replay_all(host::ControlClient& shop, const std::string& consumer) {
    auto letters = co_await read_letters(shop);
    if (!letters) co_return report(letters.error());
    std::size_t count = 0;
    for (const json::value& letter : *letters) {
        if (text(letter, "consumer") != consumer) continue;
        std::string event_id(text(letter.at("event"), "id"));
        auto changed = co_await change(shop, "replay", consumer, std::move(event_id));
        if (!changed) co_return report(changed.error());
        ++count;
    }
    fmt::print("{}: {} to be tried again\n", consumer, count);
    co_return exit_ok;
}

}  // namespace

int list_dead_letters(const DeadLetterOptions& options) {
    return with_shop(options.common, [&](host::ControlClient& shop) -> Task<int> {
        co_return co_await list(shop, options.as_json);
    });
}

int replay_dead_letter(const DeadLetterOptions& options) {
    return with_shop(options.common, [&](host::ControlClient& shop) -> Task<int> {
        if (options.all) co_return co_await replay_all(shop, options.consumer);
        co_return co_await change_one(shop, options, "replay");
    });
}

int drop_dead_letter(const DeadLetterOptions& options) {
    return with_shop(options.common, [&](host::ControlClient& shop) -> Task<int> {
        co_return co_await change_one(shop, options, "drop");
    });
}

}  // namespace souk::cli
