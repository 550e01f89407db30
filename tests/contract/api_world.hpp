// How a test reaches a module's Api: as the local object, or as other processes do. `runners` has
// one line for each way. A test calls through `Ask`, which makes every call twice: as its runner
// reaches the Api, then on the local object. Every call is idempotent, so the two must agree, in
// each member of a value and each part of an error.
#pragma once

#include "souk/order/api.hpp"
#include "souk/payment/api.hpp"
#include "souk/product/api.hpp"
#include "souk/user/api.hpp"
#include "souk/wire.hpp"
#include "unit/product/module_world.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::user {
const ModuleInfo& module();
}
namespace souk::product {
const ModuleInfo& module();
}
namespace souk::order {
const ModuleInfo& module();
}
namespace souk::payment {
const ModuleInfo& module();
}

namespace souk::test {

/// To the internal routes of a module in this process, as text there and back.
class TextRemote final : public Remote {
public:
    TextRemote(const ModuleWorld& module, std::string_view name)
        : module_(module), prefix_(fmt::format("/internal/{}/api/", name)) {}

    Task<Result<json::value>> call(
        std::string_view method, json::value arguments, const CallContext& ctx
    ) override {
        http::Request request;
        request.method = http::Method::post;
        request.path = prefix_ + std::string(method);
        request.headers.add("Content-Type", "application/json");
        request.body = json::serialize(arguments);
        auto result = co_await find(request.path).handler(ctx, request);
        auto sent = result ? std::move(*result) : http::Response::problem(result.error(), "req_1");
        http::Response received(sent.status, std::move(sent.content_type), std::move(sent.body));
        for (const auto& [name, value] : sent.headers)
            received.headers.add(name, value);
        co_return wire::answer_in(received);
    }

private:
    const http::Route& find(std::string_view path) const {
        for (const http::Route& route : module_.routes())
            if (route.method == http::Method::post && route.pattern == path) return route;
        throw std::logic_error("no route " + std::string(path));
    }
    const ModuleWorld& module_;
    std::string prefix_;
};

struct Runner {
    std::string_view name;
    /// Points to the Api of the module that `info` describes and `module` holds.
    std::shared_ptr<void> (*reach)(Shop& shop, ModuleWorld& module, const ModuleInfo& info);
};

inline std::shared_ptr<void> reach_local(Shop& shop, ModuleWorld&, const ModuleInfo& info) {
    return std::shared_ptr<void>(std::shared_ptr<void>(), shop.peers.find(info.name));
}

inline std::shared_ptr<void> reach_through_json(
    Shop&, ModuleWorld& module, const ModuleInfo& info
) {
    struct Both {
        Both(const ModuleWorld& module, const ModuleInfo& info)
            : remote(module, info.name), api(info.connect(remote)) {}
        TextRemote remote;
        std::shared_ptr<void> api;
    };
    auto both = std::make_shared<Both>(module, info);
    return std::shared_ptr<void>(both, both->api.get());
}

inline const std::vector<Runner>& runners() {
    static const std::vector<Runner> all = {
        {"local", &reach_local},
        {"local through JSON", &reach_through_json},
    };
    return all;
}

// Everything that a value or an error says, as text.

inline std::string told(std::int64_t n) {
    return std::to_string(n);
}
inline std::string told(payment::VoidOutcome outcome) {
    return fmt::format("outcome {}", static_cast<int>(outcome));
}
inline std::string told(const product::ReservedProduct& p) {
    return fmt::format(
        "{}|{}|{}|{}|{}", p.product_id, p.sku, p.name, p.unit_price.micros(), p.currency.code()
    );
}
inline std::string told(const user::User& u) {
    return fmt::format("{}|{}|{}|{}|{}", u.id, u.email, u.name, u.role, to_micros(u.created_at));
}
inline std::string told(const user::SigningKey& key) {
    return key.kid + "|" + key.public_key;
}
inline std::string told(const user::Revocation& r) {
    return fmt::format("{}|{}", r.position, r.session);
}
inline std::string told(const order::OrderLine& l) {
    return fmt::format(
        "{}|{}|{}|{}|{}|{}", l.product_id, l.sku, l.name, l.quantity, l.unit_price.micros(), l.total
    );
}
std::string told(const order::Order& o);
template <class T>
std::string told(const std::vector<T>& all) {
    std::string text;
    for (const T& one : all)
        text += told(one) + "\n";
    return text;
}
inline std::string told(const order::Order& o) {
    return fmt::format(
        "{}|{}|{}|{}|{}|{}|{}|{}|{}: {}",
        o.id,
        o.number,
        o.user_id,
        o.status,
        o.cancel_reason,
        o.total.amount,
        o.total.currency.code(),
        o.version,
        to_micros(o.placed_at),
        told(o.lines)
    );
}
inline std::string told(const Error& error) {
    std::string text = fmt::format(
        "{} {} \"{}\" {}s", http_status(error.kind), error.code, error.detail, error.retry_after_s
    );
    for (const FieldError& field : error.fields)
        text += fmt::format(" [{} {} \"{}\"]", field.pointer, field.code, field.detail);
    return text;
}
template <class T>
std::string told(const Result<T>& result) {
    if (!result) return told(result.error());
    if constexpr (std::is_void_v<T>)
        return "done";
    else
        return told(*result);
}

/// Of an error only what programs look at: "409 out_of_stock /items/0 /items/2".
template <class T>
std::string fault(const Result<T>& result) {
    if (result) return "no error";
    const Error error = result.error();
    std::string text = fmt::format("{} {}", http_status(error.kind), error.code);
    for (const FieldError& field : error.fields)
        text += " " + field.pointer;
    return text;
}

template <class Api>
class Ask {
public:
    Ask(Shop& shop, ModuleWorld& module, const ModuleInfo& info, const Runner& runner)
        : shop_(shop)
        , local_(*static_cast<Api*>(shop.peers.find(info.name)))
        , api_(runner.reach(shop, module, info)) {}

    template <class R, class... Args>
    Result<R> operator()(
        Task<Result<R>> (Api::*method)(CallContext, Args...), std::type_identity_t<Args>... args
    ) {
        const CallContext ctx(caller, Deadline(shop_.clock, time), "req_1", std::string());
        Api& api = *static_cast<Api*>(api_.get());
        auto result = shop_.run((api.*method)(ctx, args...));
        CHECK(told(result) == told(shop_.run((local_.*method)(ctx, args...))));
        return result;
    }

    Identity caller;
    microseconds time = seconds(5);  // until the deadline

private:
    Shop& shop_;
    Api& local_;
    std::shared_ptr<void> api_;
};

}  // namespace souk::test
