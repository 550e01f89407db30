#include "cli/api_session.hpp"

#include "souk/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace souk::cli {

namespace {

constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{500};
constexpr milliseconds renewing_poll{10};
constexpr seconds renew_ahead{60};

bool is_final(const http::Response& response) {
    if (response.status == 409)
        return response.headers.get("retry-after").empty();  // in flight: ask again
    return response.status != 408 && response.status != 429 && response.status < 500;
}

http::Headers json_headers() {
    http::Headers headers;
    headers.set("content-type", "application/json");
    headers.set("accept", "application/json");
    return headers;
}

Error refusal(const http::Response& response) {
    return Error(
        error_kind_of(response.status),
        "refused",
        fmt::format("the shop answered {}: {}", response.status, response.body)
    );
}

}  // namespace

Result<Credentials> Credentials::load(const std::filesystem::path& file) {
    std::ifstream in(file);
    if (!in)
        return invalid(
            "credentials",
            fmt::format(
                "{}: cannot be read; make it with: souk seed "
                "--account EMAIL --role importer --credentials {}",
                file.string(),
                file.string()
            )
        );
    std::stringstream text;
    text << in.rdbuf();
    Credentials credentials;
    const auto read = json::decode(text.str(), json::Unknown::refuse, [&](json::ObjectReader& o) {
        credentials.email = o.text("email");
        credentials.password = o.text("password");
    });
    if (!read)  // never echo the file: it holds a password
        return invalid("credentials", file.string() + ": is not {\"email\":...,\"password\":...}");
    return credentials;
}

Account::Account(
    Executor executor, http::ClientTarget target, Credentials credentials, Clock& clock
)
    : executor_(executor)
    , client_(executor, std::move(target))
    , credentials_(std::move(credentials))
    , clock_(clock) {}

Task<Result<std::string>> Account::token(std::string refused) {
    while (renewing_)
        co_await clock_.sleep(renewing_poll);
    const bool usable = !access_token_.empty() && access_token_ != refused;
    if (usable && clock_.steady() < renew_at_) co_return access_token_;
    renewing_ = true;
    auto renewed = co_await renew();
    renewing_ = false;
    if (!renewed) co_return renewed.error();
    co_return access_token_;
}

Task<Result<void>> Account::renew() {
    if (!refresh_token_.empty()) {
        json::object body;
        body["refresh_token"] = std::exchange(refresh_token_, {});
        auto refreshed = co_await sign_in("/api/users/refresh", json::serialize(body));
        if (refreshed || refreshed.error().kind == ErrorKind::unavailable) co_return refreshed;
    }
    json::object body;
    body["email"] = credentials_.email;
    body["password"] = credentials_.password;
    co_return co_await sign_in("/api/users/login", json::serialize(body));
}

Task<Result<void>> Account::sign_in(std::string path, std::string body) {
    auto response = co_await client_.send(
        http::Method::post,
        std::move(path),
        json_headers(),
        std::move(body),
        clock_,
        Deadline(clock_, ApiConnection::request_timeout)
    );
    if (!response) co_return response.error();
    if (response->status != 200) co_return refusal(*response);
    std::int64_t expires_in_s = 0;
    auto read = json::decode(response->body, json::Unknown::ignore, [&](json::ObjectReader& o) {
        access_token_ = o.text("access_token", {.max = 4096});
        refresh_token_ = o.text("refresh_token", {.max = 4096});
        expires_in_s = o.integer("expires_in");
    });
    const auto lifetime = std::max(seconds(expires_in_s) - renew_ahead, seconds(expires_in_s) / 2);
    renew_at_ = clock_.steady() + lifetime;
    co_return read;
}

ApiConnection::ApiConnection(
    Executor executor, http::ClientTarget target, Account& account, Clock& clock
)
    : client_(executor, std::move(target)), account_(account), clock_(clock) {}

Task<Result<http::Response>> ApiConnection::send_once(
    http::Method method, std::string target, std::string body, std::string key
) {
    auto token = co_await account_.token(refused_token_);
    if (!token) co_return token.error();
    http::Headers headers = json_headers();
    headers.set("authorization", "Bearer " + *token);
    if (!key.empty()) headers.set("idempotency-key", key);
    auto response = co_await client_.send(
        method,
        std::move(target),
        std::move(headers),
        std::move(body),
        clock_,
        Deadline(clock_, request_timeout)
    );
    if (response && response->status == 401) refused_token_ = *token;
    co_return response;
}

Task<Result<ApiReply>> ApiConnection::call(
    http::Method method, std::string target, std::string body, std::string idempotency_key
) {
    const Deadline give_up(clock_, patience);
    milliseconds pause = first_pause;
    ApiReply reply;
    int refusals = 0;
    for (;;) {
        const SteadyTime started = clock_.steady();
        auto response = co_await send_once(method, target, body, idempotency_key);
        if (response && response->status == 401 && ++refusals < 3)
            continue;  // the next try renews the token
        if (response && is_final(*response)) {
            reply.response = std::move(*response);
            reply.latency = clock_.steady() - started;
            co_return reply;
        }
        const bool hopeless = !response && response.error().kind != ErrorKind::unavailable &&
                              response.error().kind != ErrorKind::timeout &&
                              response.error().kind != ErrorKind::internal &&
                              response.error().kind != ErrorKind::rate_limited;
        if (hopeless || give_up.passed(clock_)) {
            if (response) co_return refusal(*response);
            co_return response.error();
        }
        reply.retried = true;
        co_await clock_.sleep(pause);
        pause = std::min(pause * 2, longest_pause);
    }
}

}  // namespace souk::cli
