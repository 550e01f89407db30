// How a test reaches a module's Api: as the local object, or as other processes do. `runners()` in
// api_runners.cpp has one line for each way. A test calls through `Ask`, which makes every call
// twice: as its runner reaches the Api, then on the local object. Every call is idempotent, so the
// two must agree, in each member of a value and each part of an error.
#pragma once

#include "souk/order/api.hpp"
#include "souk/payment/api.hpp"
#include "souk/product/api.hpp"
#include "souk/user/api.hpp"
#include "souk/wire.hpp"
#include "unit/product/module_world.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstdlib>
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

/// An Api as its own process has it, and how another process gets at it.
struct Served {
    Served(
        std::string_view module,
        void* api,
        const http::Routes& routes,
        std::shared_ptr<void> (*connect)(Remote&)
    )
        : module(module), api(api), routes(routes), connect(connect) {}
    std::string_view module;
    void* api;
    const http::Routes& routes;  // they outlive all that reaches the Api
    std::shared_ptr<void> (*connect)(Remote&);
};

struct Runner {
    std::string_view name;
    /// Points to an Api by which `served` is reached.
    std::shared_ptr<void> (*reach)(Shop& shop, const Served& served);
};

const std::vector<Runner>& runners();
/// And over mutual TLS, with certificates of a development authority.
const std::vector<Runner>& runners_with_tls();

/// The gateway's word for `caller`, which the listeners of the runners believe.
std::string identity_token(const Identity& caller, Timestamp now);

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
        , api_(runner.reach(
              shop, Served(info.name, shop.peers.find(info.name), module.routes(), info.connect)
          )) {}

    template <class R, class... Args>
    Result<R> operator()(
        Task<Result<R>> (Api::*method)(CallContext, Args...), std::type_identity_t<Args>... args
    ) {
        const CallContext ctx(caller, Deadline(shop_.clock, time), "req_1", std::string());
        Api& api = *static_cast<Api*>(api_.get());
        auto result = shop_.run((api.*method)(ctx, args...));
        const auto here = shop_.run((local_.*method)(ctx, args...));
        // Whoever notices that time is over says so in words of its own.
        if (result.has_error() && result.error().kind == ErrorKind::timeout)
            CHECK(fault(result) == fault(here));
        else
            CHECK(told(result) == told(here));
        return result;
    }

    Identity caller;
    microseconds time = seconds(5);  // until the deadline

private:
    Shop& shop_;
    Api& local_;
    std::shared_ptr<void> api_;
};

// What several suites use.

inline const std::string odd_name = "Z\u00fcrich \"quoted\" \\ \t \u20ac \U0001f600 </script>";

/// Ids that are none, which differ only in what text formats like to lose.
inline const std::vector<std::string> odd_ids{
    "",
    " ",
    "id",
    "id ",
    "ID",
    "\"id\"",
    "\\u0000",
    "i\u0308d",
    "\u00efd",
    "{\"base64\":\"aWQ=\"}",
    "a/b~c%00?d#e",
    std::string(5000, 'x')};
/// Those that JSON as we read it does not carry as text; a PostgreSQL takes none of them.
inline const std::vector<std::string> no_text{
    std::string("id\0", 3), std::string(1, '\0'), "\xff\xfe", "\xed\xa0\x80", "id\xc3"};

inline bool on_postgres() {
    const char* database = std::getenv("SOUK_TEST_DATABASE");
    return database != nullptr && std::string_view(database) == "postgres";
}

inline std::vector<std::string> all_odd_ids() {
    std::vector<std::string> ids = odd_ids;
    if (!on_postgres()) ids.insert(ids.end(), no_text.begin(), no_text.end());
    return ids;
}

inline std::vector<std::string> missing(std::size_t count) {
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < count; ++i)
        ids.push_back(fmt::format("none_{}", i));
    return ids;
}

inline Runner each_runner() {
    return GENERATE(from_range(runners().begin(), runners().end()));
}

struct ProductWorld : Shop {
    explicit ProductWorld(const Runner& runner)
        : products(*this, product::module(), {{"hold_alarm_age", "15m"}})
        , ask(*this, products, product::module(), runner) {}

    std::string add(
        const std::string& sku,
        std::int64_t stock,
        const std::string& minor = "255",
        const std::string& name = "A thing",
        const std::string& currency = "GBP"
    ) {
        json::object item;
        item["sku"] = sku;
        item["name"] = name;
        item["currency"] = currency;
        item["unit_amount_decimal"] = minor;
        item["stock"] = stock;
        json::object body;
        body["items"] = json::array{std::move(item)};
        const Answer answer =
            products.post("/api/products/import", "", admin(), json::serialize(body));
        INFO(answer.text);
        REQUIRE(answer.status == 200);
        return std::string(answer.body.at("data").at(0).at("id").as_string());
    }
    auto reserve(std::string order, std::vector<product::ReserveLine> lines) {
        return ask(&product::Api::reserve, std::move(order), std::move(lines));
    }
    auto release(std::string order) { return ask(&product::Api::release, std::move(order)); }
    std::int64_t available(const std::string& id) {
        return products.number(
            fmt::format("SELECT available FROM stock WHERE product_id = '{}'", id)
        );
    }

    ModuleWorld products;
    Ask<product::Api> ask;
};

}  // namespace souk::test
