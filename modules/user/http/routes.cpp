#include "http/routes.hpp"

#include "app/audit.hpp"
#include "app/find_account.hpp"
#include "app/logout.hpp"
#include "app/refresh.hpp"
#include "http/decode.hpp"
#include "http/encode.hpp"

namespace souk::user::http_api {

namespace {

using http::Access;
using http::Method;
using http::RateClass;
using http::Request;
using http::Response;
using http::Route;

/// Gives a named coroutine function what every handler needs.
using Action = Task<Result<Response>> (*)(app::Services&, CallContext, std::string body);

http::Handler handler(app::Services& services, Action action) {
    return [&services, action](const CallContext& ctx, const Request& request) {
        return action(services, ctx, request.body);
    };
}

Task<Result<Response>> post_register(app::Services& services, CallContext ctx, std::string body) {
    auto input = json::decode_as(body, &read_registration);
    if (!input) co_return input.error();
    auto result = co_await app::register_account(services, std::move(*input), ctx.deadline);
    if (!result) co_return result.error();
    co_return Response::json(to_json(*result), 201);
}

Task<Result<Response>> post_login(app::Services& services, CallContext ctx, std::string body) {
    auto input = json::decode_as(body, &read_credentials);
    if (!input) co_return input.error();
    auto result = co_await app::login(services, std::move(*input), ctx.deadline);
    if (!result) co_return result.error();
    co_return Response::json(to_json(*result));
}

Task<Result<Response>> post_refresh(app::Services& services, CallContext ctx, std::string body) {
    auto token = json::decode_as(body, &read_refresh_token);
    if (!token) co_return token.error();
    auto result = co_await app::refresh(services, std::move(*token), ctx.deadline);
    if (!result) co_return result.error();
    co_return Response::json(to_json(*result));
}

Task<Result<Response>> post_logout(app::Services& services, CallContext ctx, std::string) {
    auto done = co_await app::logout(services, ctx.identity.session, ctx.deadline);
    if (!done) co_return done.error();
    co_return Response::no_content();
}

Task<Result<Response>> get_me(app::Services& services, CallContext ctx, std::string) {
    auto user = co_await app::find_account(services, ctx.identity.subject, ctx.deadline);
    if (!user) co_return user.error();
    co_return Response::json(to_json(*user));
}

Task<Result<Response>> post_import(app::Services& services, CallContext ctx, std::string body) {
    auto input = json::decode_as(body, &read_import);
    if (!input) co_return input.error();
    auto ids = co_await app::import_customers(services, std::move(*input), ctx.deadline);
    if (!ids) co_return ids.error();
    json::object answer;
    answer["data"] = to_json(*ids);
    co_return Response::json(answer);
}

Task<Result<Response>> post_account(app::Services& services, CallContext ctx, std::string body) {
    auto input = json::decode_as(body, &read_account);
    if (!input) co_return input.error();
    auto user = co_await app::put_account(services, std::move(*input), ctx.deadline);
    if (!user) co_return user.error();
    co_return Response::json(to_json(*user), 201);
}

/// One page holds all: a count a role and one of revocations.
Task<Result<Response>> get_audit(app::Services& services, CallContext ctx, std::string) {
    auto result = co_await app::audit(services, ctx.deadline);
    if (!result) co_return result.error();
    co_return http::page(to_json(*result), "");
}

}  // namespace

http::Routes routes(app::Services& services) {
    http::Routes table;
    const auto add = [&](Route&& route) { table.push_back(std::move(route)); };
    const auto handle = [&](Action action) { return handler(services, action); };
    constexpr milliseconds slow{5000};  // a hash or a large batch

    add(Route(
            Method::post,
            "/api/users/register",
            Access::everyone(),
            "Make an account and sign in",
            handle(&post_register)
    )
            .body(json::documents<&read_registration>())
            .rate(RateClass::credentials)
            .within(slow)
            .answers(201));
    add(Route(
            Method::post,
            "/api/users/login",
            Access::everyone(),
            "Sign in with e-mail and password",
            handle(&post_login)
    )
            .body(json::documents<&read_credentials>())
            .rate(RateClass::credentials)
            .within(slow));
    add(Route(
            Method::post,
            "/api/users/refresh",
            Access::everyone(),
            "Exchange a refresh token, which works once, for new tokens",
            handle(&post_refresh)
    )
            .body(json::documents<&read_refresh_token>())
            .rate(RateClass::credentials));
    add(Route(
            Method::post,
            "/api/users/logout",
            Access::signed_in(),
            "End this session and all its tokens",
            handle(&post_logout)
    )
            .answers(204));
    add(Route(
        Method::get, "/api/users/me", Access::signed_in(), "The caller's account", handle(&get_me)
    ));
    add(Route(
            Method::post,
            "/api/users/import",
            Access::permission("users:import"),
            "Take customers over from another system, idempotent by source and external_ref",
            handle(&post_import)
    )
            .body(json::documents<&read_import>())
            .rate(RateClass::import_)
            .max_body(4 << 20)
            .within(slow));
    return table;
}

http::Routes internal_routes(app::Services& services) {
    http::Routes table;
    table.push_back(Route(
                        Method::post,
                        "/internal/user/accounts",
                        Access::everyone(),
                        "Make an account of any role, or reset one",
                        handler(services, &post_account)
    )
                        .body(json::documents<&read_account>())
                        .within(milliseconds{5000})
                        .answers(201));
    table.push_back(Route(
        Method::get,
        "/internal/user/audit",
        Access::everyone(),
        "Counts for souk verify",
        handler(services, &get_audit)
    ));
    return table;
}

}  // namespace souk::user::http_api
