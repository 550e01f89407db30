// The codec, and both ends made from one description, on an Api that exists only here.
#include "souk/wire.hpp"

#include "base/virtual_clock.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>

using namespace souk;

namespace {

enum class Colour : std::uint8_t { red, green };

struct Label {
    Label(std::string text, Colour colour) : text(std::move(text)), colour(colour) {}
    std::string text;
    Colour colour;
};

struct Parcel {
    Parcel(std::string id, Money value) : id(std::move(id)), value(value) {}
    std::string id;
    Money value;
    std::int64_t weight = 7;
    bool fragile = true;
    Timestamp sent{};
    std::optional<UnitPrice> postage;
    std::vector<Label> labels;
};

/// Where the last call came from and what it said.
struct Api {
    static constexpr std::string_view module_name = "parcel";
    virtual ~Api() = default;
    virtual Task<Result<Parcel>> send(CallContext ctx, Parcel parcel, std::int64_t times) = 0;
    virtual Task<Result<void>> lose(CallContext ctx) = 0;
    virtual Task<Result<std::int64_t>> count(
        CallContext ctx, std::optional<Colour> only
    ) = 0;  // an argument that came later
};

}  // namespace

namespace souk::wire {

template <>
struct Enum<Colour> {
    static constexpr std::array names{named(Colour::red, "red"), named(Colour::green, "green")};
};

template <>
struct Struct<Label> {
    static constexpr auto required =
        members(member("text", &Label::text), member("colour", &Label::colour));
};

template <>
struct Struct<Parcel> {
    static constexpr auto required =
        members(member("id", &Parcel::id), member("value", &Parcel::value));
    static constexpr auto defaulted = members(
        member("weight", &Parcel::weight),
        member("fragile", &Parcel::fragile),
        member("sent", &Parcel::sent),
        member("postage", &Parcel::postage),
        member("labels", &Parcel::labels)
    );
};

template <>
struct Methods<Api> {
    static constexpr auto list = methods(
        method<&Api::send>("send", "parcel", "times"),
        method<&Api::lose>("lose"),
        method<&Api::count>("count", "only")
    );
};

}  // namespace souk::wire

namespace {

class Client final : public wire::Client<Api> {
public:
    using wire::Client<Api>::Client;
    Task<Result<Parcel>> send(CallContext ctx, Parcel parcel, std::int64_t times) override {
        return call<&Api::send>(std::move(ctx), parcel, times);
    }
    Task<Result<void>> lose(CallContext ctx) override { return call<&Api::lose>(std::move(ctx)); }
    Task<Result<std::int64_t>> count(CallContext ctx, std::optional<Colour> only) override {
        return call<&Api::count>(std::move(ctx), only);
    }
};

class Office final : public Api {
public:
    Task<Result<Parcel>> send(CallContext ctx, Parcel parcel, std::int64_t times) override {
        last.emplace(std::move(ctx));
        parcel.weight *= times;
        co_return parcel;
    }
    Task<Result<void>> lose(CallContext ctx) override {
        last.emplace(std::move(ctx));
        if (error) co_return *error;
        co_return Result<void>();
    }
    Task<Result<std::int64_t>> count(CallContext, std::optional<Colour> only) override {
        co_return only ? static_cast<std::int64_t>(*only) : -1;
    }
    std::optional<CallContext> last;
    std::optional<Error> error;
};

/// Straight to the routes, as text both ways. `spoil` may change what comes back.
class Post final : public Remote {
public:
    explicit Post(Api& api) : routes(wire::serve(api, {})) {}
    Task<Result<json::value>> call(
        std::string_view method, json::value arguments, const CallContext& ctx
    ) override {
        http::Request request;
        request.body = json::serialize(arguments);
        auto result = co_await find(method).handler(ctx, request);
        auto response =
            result ? std::move(*result) : http::Response::problem(result.error(), "req_1");
        if (spoil) spoil(response);
        if (auto error = wire::error_in(response)) co_return std::move(*error);
        co_return json::parse(response.body);
    }
    const http::Route& find(std::string_view method) const {
        for (const auto& route : routes)
            if (route.pattern == "/internal/parcel/api/" + std::string(method)) return route;
        throw std::logic_error("no such route");
    }
    http::Routes routes;
    std::function<void(http::Response&)> spoil;
};

// A Result<Parcel> has no default, which co_spawn would ask of it.
Task<void> keep(Task<Result<Parcel>> task, std::optional<Result<Parcel>>& out) {
    out.emplace(co_await std::move(task));
}

struct World {
    base::VirtualClock clock;
    Office office;
    Post post{office};
    Client client{post};
    CallContext ctx{
        Identity("usr_1", {"staff"}, "ses_1"), Deadline(clock, seconds(3)), "req_7", "00-trace"};

    Result<Parcel> send(const Parcel& parcel, std::int64_t times = 1) {
        std::optional<Result<Parcel>> result;
        asio::io_context context;
        test::run_task(context, keep(client.send(ctx, parcel, times), result));
        return std::move(*result);
    }
    Result<void> lose() { return test::run_task(client.lose(ctx)); }
    /// The server's answer to these arguments.
    Result<http::Response> raw(std::string body, std::string_view method = "send") {
        http::Request request;
        request.body = std::move(body);
        return test::run_task(post.find(method).handler(ctx, request));
    }
    Error refused(std::string body) {
        auto result = raw(std::move(body));
        REQUIRE_FALSE(result);
        return result.error();
    }
    /// The client's reading of this answer to `send`.
    Result<Parcel> answered(std::string body) {
        post.spoil = [&body](http::Response& response) { response.body = body; };
        return send(parcel());
    }
    static Parcel parcel() { return Parcel("p", Money(1, Currency::gbp())); }
};

template <class T>
T round_trip(const T& value) {
    std::vector<FieldError> faults;
    const auto text = json::serialize(wire::Codec<T>::encode(value));
    auto back = wire::Codec<T>::decode(json::parse(text).value(), wire::Spot(faults));
    REQUIRE(faults.empty());
    return std::move(*back);
}

const std::string minimal =
    R"({"parcel":{"id":"p","value":{"amount":1,"currency":"GBP"}},"times":2})";

}  // namespace

TEST_CASE("wire: every member arrives as it was") {
    World world;
    Parcel parcel("id", Money(-max_amount, Currency::parse("KWD").value()));
    parcel.weight = std::numeric_limits<std::int64_t>::min();
    parcel.fragile = false;
    parcel.sent = from_micros(1'700'000'000'123'457);
    parcel.postage = UnitPrice::parse_minor_decimal("0.000001").value();
    parcel.labels = {Label("one", Colour::green), Label("", Colour::red)};
    const Parcel back = world.send(parcel).value();
    CHECK(back.id == "id");
    CHECK(back.value == parcel.value);
    CHECK(back.weight == parcel.weight);
    CHECK_FALSE(back.fragile);
    CHECK(back.sent == parcel.sent);
    CHECK(back.postage == parcel.postage);
    REQUIRE(back.labels.size() == 2);
    CHECK(back.labels[0].text == "one");
    CHECK(back.labels[0].colour == Colour::green);
    CHECK(back.labels[1].text.empty());
    CHECK(back.labels[1].colour == Colour::red);
    CHECK_FALSE(world.send(World::parcel()).value().postage.has_value());
}

TEST_CASE("wire: 64-bit integers are exact") {
    using Limits = std::numeric_limits<std::int64_t>;
    for (std::int64_t n :
         {Limits::min(), Limits::max(), std::int64_t{-1}, (std::int64_t{1} << 53) + 1})
        CHECK(round_trip(n) == n);
}

TEST_CASE("wire: strings of any bytes arrive, text as text") {
    std::string every;
    for (int c = 0; c < 256; ++c)
        every += static_cast<char>(c);
    const std::vector<std::string> strings{
        "",
        "quo\"te \\ / \b\f\n\r\t \x01 \x7f",
        "z\u00fcrich \u20ac \U0001f600",
        std::string("a\0b", 3),
        std::string(1, '\0'),
        "\xff\xfe",
        "\xed\xa0\x80",
        "{\"base64\":\"AA==\"}",
        every};
    CHECK(round_trip(strings) == strings);
    CHECK(wire::Codec<std::string>::encode(strings[2]).is_string());
    for (int first = 0; first < 256; ++first) {
        const std::string key = static_cast<char>(first) + std::string(31, '\x9d');
        CHECK(round_trip(key) == key);
    }
}

TEST_CASE("wire: the context goes along") {
    World world;
    REQUIRE(world.send(World::parcel()));
    REQUIRE(world.office.last);
    CHECK(world.office.last->identity.subject == "usr_1");
    CHECK(world.office.last->deadline.at() == world.ctx.deadline.at());
    CHECK(world.office.last->request_id == "req_7");
    CHECK(world.office.last->traceparent == "00-trace");
}

TEST_CASE("wire: an error arrives as it was, of every kind") {
    World world;
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::request_timeout); ++kind) {
        INFO("kind " << kind);
        std::vector<FieldError> fields;
        fields.emplace_back("/items/0", "first", "says \"one\"");
        fields.emplace_back("", "second", "");
        world.office.error = Error(static_cast<ErrorKind>(kind), "some_code", "w\u00f6rds")
                                 .with_fields(std::move(fields))
                                 .with_retry_after(kind + 1);
        const auto result = world.lose();
        REQUIRE_FALSE(result);
        const Error error = result.error();
        CHECK(static_cast<int>(error.kind) == kind);
        CHECK(error.code == "some_code");
        CHECK(error.detail == "w\u00f6rds");
        CHECK(error.retry_after_s == kind + 1);
        REQUIRE(error.fields.size() == 2);
        CHECK(error.fields[0].pointer == "/items/0");
        CHECK(error.fields[0].code == "first");
        CHECK(error.fields[0].detail == "says \"one\"");
        CHECK(error.fields[1].pointer.empty());
        CHECK(error.fields[1].code == "second");
    }
    world.office.error.reset();
    CHECK(world.lose());
}

TEST_CASE("wire: unknown members are ignored, absent ones keep their defaults") {
    World world;
    CHECK(world.raw(R"({"later":1,"parcel":{"id":"p","new":[{}],"value":{"amount":1,)"
                    R"("currency":"GBP","x":null}},"times":2})"));
    const auto response = world.raw(minimal).value();
    const Parcel back = world.answered(response.body).value();
    CHECK(back.weight == 14);
    CHECK(back.fragile);
    CHECK(
        world.answered(R"({"id":"q","value":{"amount":1,"currency":"GBP"}})").value().weight == 7
    );
}

TEST_CASE("wire: an optional argument may be absent") {
    World world;
    CHECK(world.raw("{}", "count")->body == "-1");
    CHECK(world.raw(R"({"only":null})", "count")->body == "-1");
    CHECK(world.raw(R"({"only":"green"})", "count")->body == "1");
    CHECK_FALSE(world.raw(R"({"only":"blue"})", "count"));
    CHECK(test::run_task(world.client.count(world.ctx, Colour::green)).value() == 1);
    CHECK(test::run_task(world.client.count(world.ctx, std::nullopt)).value() == -1);
}

TEST_CASE("wire: arguments with faults are refused, with pointers to them") {
    World world;
    const Error error = world.refused(
        R"({"parcel":{"value":{"amount":1.5,"currency":"XXX"},"fragile":0,)"
        R"("labels":[{"text":"","colour":"red"},{"text":{"base64":"!"},"colour":"blue"},3]}})"
    );
    CHECK(error.kind == ErrorKind::invalid);
    CHECK(error.code == "validation_failed");
    std::string faults;
    for (const FieldError& field : error.fields)
        faults += field.pointer + " " + field.code + "; ";
    CHECK(
        faults ==
        "/parcel/id required; /parcel/value/amount type; "
        "/parcel/value/currency format; /times required; "
    );
    CHECK(world.refused("{").code == "malformed_json");
    CHECK(world.refused("[]").code == "validation_failed");
    CHECK(world.refused(R"({"parcel":null,"times":1})").fields[0].pointer == "/parcel");
    const Error nested = world.refused(
        R"({"times":1,"parcel":{"id":"p","value":{"amount":1,"currency":"GBP"},"fragile":0,)"
        R"("labels":[{"text":"","colour":"red"},{"text":{"base64":"!"},"colour":"blue"},3]}})"
    );
    faults.clear();
    for (const FieldError& field : nested.fields)
        faults += field.pointer + " " + field.code + "; ";
    CHECK(
        faults ==
        "/parcel/fragile type; /parcel/labels/1/text format; "
        "/parcel/labels/1/colour one_of; /parcel/labels/2 type; "
    );
    CHECK_FALSE(world.office.last);
    CHECK(world.refused(R"({"times":9223372036854775808,"parcel":0})").fields.size() == 2);
}

TEST_CASE("wire: ten thousand faults are not all told") {
    World world;
    std::string body = R"({"times":1,"parcel":{"id":"p","value":{"amount":1,"currency":"GBP"},)"
                       R"("labels":[0)";
    for (int i = 0; i < 10'000; ++i)
        body += ",0";
    CHECK(world.refused(body + "]}}").fields.size() == 100);
}

TEST_CASE("wire: an answer that is none is a bad_peer_answer") {
    World world;
    const auto is_bad = [](const Result<Parcel>& result) {
        REQUIRE_FALSE(result);
        const Error error = result.error();
        return error.kind == ErrorKind::internal && error.code == "bad_peer_answer";
    };
    CHECK(is_bad(world.answered("null")));
    CHECK(is_bad(world.answered("[]")));
    CHECK(is_bad(world.answered(R"({"id":"p"})")));
    CHECK(world.answered(R"({"id":"p"})").error().detail == "/value: is missing");
    CHECK(is_bad(world.answered(R"({"id":"p","value":{"amount":"1","currency":"GBP"}})")));
    CHECK(is_bad(world.answered(R"({"id":"p","value":{"amount":1,"currency":"GBP"},"weight":null})")
    ));
}

TEST_CASE("wire: an error is read from problem documents alone") {
    const auto code_in = [](int status, std::string type, std::string body) {
        const auto error = wire::error_in(http::Response(status, std::move(type), std::move(body)));
        return error ? error->code : "(none)";
    };
    const std::string problem = "application/problem+json";
    CHECK(code_in(409, problem, R"({"code":"x"})") == "x");
    CHECK(code_in(200, problem, R"({"code":"x"})") == "(none)");
    CHECK(code_in(409, "application/json", R"({"code":"x"})") == "(none)");
    CHECK(code_in(404, "text/html", "not here") == "(none)");
    CHECK(code_in(409, problem, "{}") == "(none)");
    CHECK(code_in(409, problem, R"({"code":1})") == "(none)");
    CHECK(code_in(409, problem, "[]") == "(none)");
    CHECK(code_in(409, problem, "{") == "(none)");
    const http::Response odd(
        400, problem, R"({"code":"x","errors":[1,{"code":2},{"pointer":"/a"}]})"
    );
    REQUIRE(wire::error_in(odd)->fields.size() == 2);
    CHECK(wire::error_in(odd)->fields[1].pointer == "/a");
}
