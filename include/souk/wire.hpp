// How an Api travels between processes. A module describes its Api once, in client/client.cpp: the
// values in it by `Struct` and `Enum`, its methods by `Methods`. From that one description come its
// client (`Client`, over a `Remote`) and the routes that serve it (`serve`), so they cannot drift,
// and what the description forgets does not compile. modules/README.md shows an example.
//
// Values are carried exactly: 64-bit integers, times to the microsecond, and strings of any bytes
// ({"base64": ...} where they are no clean text). Who reads ignores members that it does not know,
// and keeps the default of a `defaulted` member (or of a std::optional) that is absent, so that
// versions can roll.
#pragma once

#include "souk/http.hpp"
#include "souk/money.hpp"
#include "souk/remote.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace souk::wire {

// What a module writes -------------------------------------------------------------------------

/// A value type: `static constexpr auto required = members(member("id", &Order::id), ...)`, in the
/// order of its constructor's parameters when it has one; and, where it has members that may be
/// absent, `defaulted` likewise. All its data members, or it does not compile.
template <class T>
struct Struct;

/// An enumeration: `static constexpr std::array names{named(VoidOutcome::fenced, "fenced"), ...}`,
/// all enumerators, counted from 0, or it does not compile.
template <class T>
struct Enum;

/// An Api: `static constexpr auto list = methods(method<&Api::reserve>("reserve", "order_id",
/// "lines"), ...)`: the name on the wire, then a name for each argument after the CallContext.
template <class Api>
struct Methods;

template <class T, class M>
struct Member {
    std::string_view name;
    M T::*pointer;
};
template <class T, class M>
constexpr Member<T, M> member(std::string_view name, M T::*pointer) {
    return {name, pointer};
}
template <class... Ms>
constexpr std::tuple<Ms...> members(Ms... all) {
    return {all...};
}

template <class E>
constexpr std::pair<E, std::string_view> named(E value, std::string_view name) {
    return {value, name};
}

template <class Function>
struct Signature;
template <class Api, class R, class... Args>
struct Signature<Task<Result<R>> (Api::*)(CallContext, Args...)> {
    using Answer = R;
    using Arguments = std::tuple<Args...>;
    static constexpr std::size_t arity = sizeof...(Args);
};

template <auto Function>
struct Method {
    static constexpr std::size_t arity = Signature<decltype(Function)>::arity;
    std::string_view name;
    std::array<std::string_view, arity> arguments;
};
template <auto Function, class... Names>
constexpr Method<Function> method(std::string_view name, Names... arguments) {
    static_assert(
        sizeof...(Names) == Method<Function>::arity, "name each argument after the CallContext"
    );
    return {name, {std::string_view(arguments)...}};
}
template <class... Ms>
constexpr std::tuple<Ms...> methods(Ms... all) {
    return {all...};
}

// Values to JSON and back ----------------------------------------------------------------------

/// Where a decoder is in what it reads, so that its faults have pointers (RFC 6901).
class Spot {
public:
    explicit Spot(std::vector<FieldError>& faults) : faults_(&faults) {}
    Spot member(std::string_view name) const { return Spot(*this, name, 0); }
    Spot element(std::size_t index) const { return Spot(*this, {}, index); }
    /// Codes as those of json::decode: required, type, format, one_of.
    void fault(std::string_view code, std::string detail) const;

private:
    Spot(const Spot& parent, std::string_view name, std::size_t index)
        : faults_(parent.faults_), parent_(&parent), name_(name), index_(index) {}
    std::string pointer() const;
    std::vector<FieldError>* faults_;
    const Spot* parent_ = nullptr;
    std::string_view name_;
    std::size_t index_ = 0;
};

/// `encode(value)`, and `decode(json, spot)`: nothing when it noted a fault.
template <class T>
struct Codec;

template <class T>
struct PlainCodec {
    static json::value encode(const T& v);
    static std::optional<T> decode(const json::value& v, const Spot& spot);
};
template <>
struct Codec<std::string> : PlainCodec<std::string> {};
template <>
struct Codec<std::int64_t> : PlainCodec<std::int64_t> {};
template <>
struct Codec<bool> : PlainCodec<bool> {};
template <>
struct Codec<Timestamp> : PlainCodec<Timestamp> {};
template <>
struct Codec<UnitPrice> : PlainCodec<UnitPrice> {};
template <>
struct Codec<Currency> : PlainCodec<Currency> {};

template <>
struct Struct<Money> {
    static constexpr auto required =
        members(member("amount", &Money::amount), member("currency", &Money::currency));
};

namespace detail {

/// Null, and a fault is noted, unless `v` is one.
const json::object* object_in(const json::value& v, const Spot& spot);
const json::array* array_in(const json::value& v, const Spot& spot);
/// Null when absent. Then a fault is noted, too, if `required`.
const json::value* find(
    const json::object& source, std::string_view name, bool required, const Spot& spot
);
/// The index of the name in `v` among `names`; nothing, and a fault, when it is none of them.
std::optional<std::size_t> name_in(
    const json::value& v, const std::string_view* names, std::size_t count, const Spot& spot
);

template <class T>
constexpr auto defaulted_of() {
    if constexpr (requires { Struct<T>::defaulted; })
        return Struct<T>::defaulted;
    else
        return std::tuple<>();
}

/// Does not compile unless T has N data members: "names provided for structured binding".
template <std::size_t N, class T>
void expect_members([[maybe_unused]] const T& v) {
    static_assert(N >= 1 && N <= 10, "add a line below");
    // clang-format off
    if constexpr (N == 1) { [[maybe_unused]] const auto& [a] = v; }
    if constexpr (N == 2) { [[maybe_unused]] const auto& [a, b] = v; }
    if constexpr (N == 3) { [[maybe_unused]] const auto& [a, b, c] = v; }
    if constexpr (N == 4) { [[maybe_unused]] const auto& [a, b, c, d] = v; }
    if constexpr (N == 5) { [[maybe_unused]] const auto& [a, b, c, d, e] = v; }
    if constexpr (N == 6) { [[maybe_unused]] const auto& [a, b, c, d, e, f] = v; }
    if constexpr (N == 7) { [[maybe_unused]] const auto& [a, b, c, d, e, f, g] = v; }
    if constexpr (N == 8) { [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h] = v; }
    if constexpr (N == 9) { [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i] = v; }
    if constexpr (N == 10) { [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j] = v; }
    // clang-format on
}

template <auto Value>
constexpr bool is_enumerator() {
    // "... [with auto Value = souk::payment::VoidOutcome::fenced]", or "...(souk::...)3]".
    const std::string_view text = __PRETTY_FUNCTION__;
    return text.find(")", text.rfind('=')) == std::string_view::npos;
}

template <class E>
constexpr bool lists_all() {
    constexpr auto& names = Enum<E>::names;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (static_cast<std::size_t>(names[i].first) != i) return false;
    return !is_enumerator<static_cast<E>(names.size())>();
}

template <class M>
void put(json::object& out, std::string_view name, const M& value) {
    out[name] = Codec<M>::encode(value);
}

/// Only a std::optional may be absent: it is empty then.
template <class M>
std::optional<M> take(const json::object& source, std::string_view name, const Spot& spot) {
    constexpr bool may_lack = std::is_constructible_v<M, std::nullopt_t>;
    const json::value* found = find(source, name, !may_lack, spot);
    if (found != nullptr) return Codec<M>::decode(*found, spot.member(name));
    if constexpr (may_lack)
        return std::optional<M>(std::in_place);
    else
        return std::nullopt;
}

/// Leaves `into` alone when the member is absent.
template <class M>
void keep_or_take(
    M& into, const json::object& source, std::string_view name, const Spot& spot, bool& complete
) {
    const json::value* found = find(source, name, false, spot);
    if (found == nullptr) return;
    auto value = Codec<M>::decode(*found, spot.member(name));
    complete = complete && value.has_value();
    if (value) into = std::move(*value);
}

/// By T's constructor, where it has one of these parameters; else member by member.
template <class T, class... Ms>
T make(const std::tuple<Member<T, Ms>...>& required, std::tuple<std::optional<Ms>...>& parts) {
    return std::apply(
        [&](const auto&... member) {
            return std::apply(
                [&](auto&... part) {
                    if constexpr (std::is_constructible_v<T, Ms&&...>) {
                        return T(std::move(*part)...);
                    } else {
                        T value;
                        ((value.*(member.pointer) = std::move(*part)), ...);
                        return value;
                    }
                },
                parts
            );
        },
        required
    );
}

}  // namespace detail

template <class T>
    requires requires { Struct<T>::required; }
struct Codec<T> {
    static json::value encode(const T& v) {
        constexpr auto all = std::tuple_cat(Struct<T>::required, detail::defaulted_of<T>());
        detail::expect_members<std::tuple_size_v<decltype(all)>>(v);
        json::object out;
        std::apply(
            [&](const auto&... member) {
                (detail::put(out, member.name, v.*(member.pointer)), ...);
            },
            all
        );
        return out;
    }

    static std::optional<T> decode(const json::value& v, const Spot& spot) {
        const json::object* source = detail::object_in(v, spot);
        if (source == nullptr) return std::nullopt;
        return read(*source, spot, Struct<T>::required);
    }

private:
    template <class... Ms>
    static std::optional<T> read(
        const json::object& source, const Spot& spot, const std::tuple<Member<T, Ms>...>& required
    ) {
        auto parts = std::apply(
            [&](const auto&... member) {
                // Braces: from left to right, and all, so that every fault is told.
                return std::tuple{detail::take<Ms>(source, member.name, spot)...};
            },
            required
        );
        const bool made =
            std::apply([](auto&... part) { return (part.has_value() && ...); }, parts);
        if (!made) return std::nullopt;
        T value = detail::make<T>(required, parts);
        bool complete = true;
        std::apply(
            [&](const auto&... member) {
                (detail::keep_or_take(value.*(member.pointer), source, member.name, spot, complete),
                 ...);
            },
            detail::defaulted_of<T>()
        );
        if (!complete) return std::nullopt;
        return value;
    }
};

template <class E>
    requires std::is_enum_v<E>
struct Codec<E> {
    static_assert(detail::lists_all<E>(), "list all enumerators in wire::Enum, counted from 0");
    static json::value encode(E v) {
        return json::value(Enum<E>::names.at(static_cast<std::size_t>(v)).second);
    }
    static std::optional<E> decode(const json::value& v, const Spot& spot) {
        std::array<std::string_view, Enum<E>::names.size()> names;
        for (std::size_t i = 0; i < names.size(); ++i)
            names[i] = Enum<E>::names[i].second;
        const auto index = detail::name_in(v, names.data(), names.size(), spot);
        if (!index) return std::nullopt;
        return static_cast<E>(*index);
    }
};

template <class T>
struct Codec<std::vector<T>> {
    static json::value encode(const std::vector<T>& v) {
        json::array out;
        out.reserve(v.size());
        for (const T& element : v)
            out.push_back(Codec<T>::encode(element));
        return out;
    }
    static std::optional<std::vector<T>> decode(const json::value& v, const Spot& spot) {
        const json::array* source = detail::array_in(v, spot);
        if (source == nullptr) return std::nullopt;
        std::vector<T> out;
        out.reserve(source->size());
        for (std::size_t i = 0; i < source->size(); ++i)
            if (auto element = Codec<T>::decode((*source)[i], spot.element(i)))
                out.push_back(std::move(*element));
        if (out.size() < source->size()) return std::nullopt;
        return out;
    }
};

template <class T>
struct Codec<std::optional<T>> {
    static json::value encode(const std::optional<T>& v) {
        return v ? Codec<T>::encode(*v) : json::value(nullptr);
    }
    static std::optional<std::optional<T>> decode(const json::value& v, const Spot& spot) {
        if (v.is_null()) return std::optional<std::optional<T>>(std::in_place);
        auto value = Codec<T>::decode(v, spot);
        if (!value) return std::nullopt;
        return std::optional<std::optional<T>>(std::in_place, std::move(*value));
    }
};

// The caller's end ------------------------------------------------------------------------------

/// `internal` "bad_peer_answer": the peer answered something that is not what the method answers.
Error bad_answer(const std::vector<FieldError>& faults);

/// The error that a problem document tells, as it was made where http::Response::problem made the
/// document; nothing when `response` is none.
std::optional<Error> error_in(const http::Response& response);

namespace detail {

template <class R>
Result<R> decode_answer(const json::value& answer) {
    if constexpr (std::is_void_v<R>) {
        return Result<void>();
    } else {
        std::vector<FieldError> faults;
        auto value = Codec<R>::decode(answer, Spot(faults));
        if (!value) return bad_answer(faults);
        return std::move(*value);
    }
}

template <class R>
Task<Result<R>> call(
    Remote& remote, std::string_view method, json::value arguments, CallContext ctx
) {
    auto answer = co_await remote.call(method, std::move(arguments), ctx);
    if (!answer) co_return answer.error();
    co_return decode_answer<R>(*answer);
}

}  // namespace detail

/// To be derived from, with one line a method: `return call<&Api::reserve>(ctx, order_id, lines);`.
template <class Api>
class Client : public Api {
public:
    explicit Client(Remote& remote) : remote_(remote) {}

protected:
    template <auto Function, class... Args>
    auto call(CallContext ctx, const Args&... arguments) {
        using Expected = Signature<decltype(Function)>;
        static_assert(std::is_same_v<std::tuple<Args...>, typename Expected::Arguments>);
        // "Must occur exactly once": wire::Methods<Api> does not list this method.
        const auto& method = std::get<Method<Function>>(Methods<Api>::list);
        json::object out;
        std::size_t i = 0;
        (detail::put(out, method.arguments[i++], arguments), ...);
        return detail::call<typename Expected::Answer>(
            remote_, method.name, std::move(out), std::move(ctx)
        );
    }

private:
    Remote& remote_;
};

/// ModuleInfo::connect for a client of type C.
template <class C, class Api>
std::shared_ptr<void> connect(Remote& remote) {
    std::shared_ptr<Api> client = std::make_shared<C>(remote);
    return client;  // PeerTable holds an Api*, not a C*
}

// The called end --------------------------------------------------------------------------------

namespace detail {

using Answer = Task<Result<http::Response>>;
using Invoke = std::function<Answer(const CallContext&, const json::value& arguments)>;

Answer refuse(std::vector<FieldError> faults);
http::Route route(std::string_view module, std::string_view method, Invoke invoke);

template <class R>
Answer respond(Task<Result<R>> task) {
    auto result = co_await std::move(task);
    if (!result) co_return result.error();
    if constexpr (std::is_void_v<R>)
        co_return http::Response::json(json::value(nullptr));
    else
        co_return http::Response::json(Codec<R>::encode(*result));
}

template <auto Function, class Api, std::size_t... I>
Answer invoke(
    std::index_sequence<I...>,
    Api& api,
    const Method<Function>& method,
    const CallContext& ctx,
    const json::value& arguments
) {
    using Args = typename Signature<decltype(Function)>::Arguments;
    std::vector<FieldError> faults;
    const Spot top(faults);
    const json::object* source = object_in(arguments, top);
    if (source == nullptr) return refuse(std::move(faults));
    // All are read, so that every fault is told.
    std::tuple parts{take<std::tuple_element_t<I, Args>>(*source, method.arguments[I], top)...};
    if (!faults.empty()) return refuse(std::move(faults));
    return respond((api.*Function)(ctx, std::move(*std::get<I>(parts))...));
}

}  // namespace detail

/// `routes`, and behind them POST /internal/<module>/api/<method> for each method of `api`: the
/// arguments are an object in the body, the answer is the result as JSON or a problem document.
/// Errors beside the Api's own: `invalid` "malformed_json", "validation_failed".
template <class Api>
http::Routes serve(Api& api, http::Routes routes) {
    const auto add = [&]<auto Function>(const Method<Function>& method) {
        auto invoke = [&api, method](const CallContext& ctx, const json::value& arguments) {
            constexpr auto all = std::make_index_sequence<Method<Function>::arity>();
            return detail::invoke(all, api, method, ctx, arguments);
        };
        routes.push_back(detail::route(Api::module_name, method.name, std::move(invoke)));
    };
    std::apply([&](const auto&... method) { (add(method), ...); }, Methods<Api>::list);
    return routes;
}

}  // namespace souk::wire
