#include "souk/wire.hpp"

#include "base/utf8.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>

namespace souk::wire {
namespace {

constexpr std::size_t max_faults = 100;
constexpr int base64 = sodium_base64_VARIANT_ORIGINAL;
constexpr std::string_view bytes_member = "base64";
// As long as a call may take whose caller sets no limit of its own.
constexpr milliseconds longest_call{10'000};

/// Whether JSON (as souk reads it: UTF-8 without NUL) carries `text` as it is.
bool is_clean(std::string_view text) {
    while (!text.empty()) {
        const auto step = base::next_code_point(text);
        if (!step.valid || step.code_point == 0) return false;
        text.remove_prefix(step.size);
    }
    return true;
}

json::value encode_bytes(std::string_view bytes) {
    std::string text(sodium_base64_encoded_len(bytes.size(), base64), '\0');
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    sodium_bin2base64(text.data(), text.size(), data, bytes.size(), base64);
    text.pop_back();
    json::object out;
    out[bytes_member] = text;
    return out;
}

std::optional<std::string> decode_bytes(std::string_view text) {
    std::string bytes(text.size(), '\0');
    std::size_t size = 0;
    const int failed = sodium_base642bin(
        reinterpret_cast<unsigned char*>(bytes.data()),
        bytes.size(),
        text.data(),
        text.size(),
        nullptr,
        &size,
        nullptr,
        base64
    );
    if (failed != 0) return std::nullopt;
    bytes.resize(size);
    return bytes;
}

bool is_problem(const http::Response& response) {
    return response.status >= 400 && response.content_type.starts_with("application/problem+json");
}

std::string text_at(const json::object& source, std::string_view name) {
    const json::value* found = source.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

std::vector<FieldError> fields_in(const json::object& problem) {
    std::vector<FieldError> fields;
    const json::value* list = problem.if_contains("errors");
    if (list == nullptr || !list->is_array()) return fields;
    for (const json::value& entry : list->get_array()) {
        if (!entry.is_object()) continue;
        const json::object& field = entry.get_object();
        fields.emplace_back(
            text_at(field, "pointer"), text_at(field, "code"), text_at(field, "detail")
        );
    }
    return fields;
}

int seconds_in(std::string_view retry_after) {
    int seconds = 0;
    std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
    return std::max(seconds, 0);
}

}  // namespace

void Spot::fault(std::string_view code, std::string detail) const {
    if (faults_->size() < max_faults)
        faults_->emplace_back(pointer(), std::string(code), std::move(detail));
}

std::string Spot::pointer() const {
    if (parent_ == nullptr) return {};
    // Names in descriptions have neither '~' nor '/'.
    return name_.empty() ? fmt::format("{}/{}", parent_->pointer(), index_)
                         : fmt::format("{}/{}", parent_->pointer(), name_);
}

template <>
json::value PlainCodec<std::string>::encode(const std::string& v) {
    return is_clean(v) ? json::value(v) : encode_bytes(v);
}

template <>
std::optional<std::string> PlainCodec<std::string>::decode(const json::value& v, const Spot& spot) {
    if (v.is_string()) return std::string(v.get_string());
    const json::value* bytes = v.is_object() ? v.get_object().if_contains(bytes_member) : nullptr;
    if (bytes == nullptr || !bytes->is_string()) {
        spot.fault("type", "expected a string");
        return std::nullopt;
    }
    auto text = decode_bytes(bytes->get_string());
    if (!text) spot.fault("format", "not base64");
    return text;
}

template <>
json::value PlainCodec<std::int64_t>::encode(const std::int64_t& v) {
    return v;
}

template <>
std::optional<std::int64_t> PlainCodec<std::int64_t>::decode(
    const json::value& v, const Spot& spot
) {
    if (v.is_int64()) return v.get_int64();
    spot.fault("type", "expected a 64-bit integer");
    return std::nullopt;
}

template <>
json::value PlainCodec<bool>::encode(const bool& v) {
    return v;
}

template <>
std::optional<bool> PlainCodec<bool>::decode(const json::value& v, const Spot& spot) {
    if (v.is_bool()) return v.get_bool();
    spot.fault("type", "expected true or false");
    return std::nullopt;
}

template <>
json::value PlainCodec<Timestamp>::encode(const Timestamp& v) {
    return to_micros(v);
}

template <>
std::optional<Timestamp> PlainCodec<Timestamp>::decode(const json::value& v, const Spot& spot) {
    const auto micros = Codec<std::int64_t>::decode(v, spot);
    if (!micros) return std::nullopt;
    return from_micros(*micros);
}

template <>
json::value PlainCodec<UnitPrice>::encode(const UnitPrice& v) {
    return v.micros();
}

template <>
std::optional<UnitPrice> PlainCodec<UnitPrice>::decode(const json::value& v, const Spot& spot) {
    const auto micros = Codec<std::int64_t>::decode(v, spot);
    if (!micros) return std::nullopt;
    return UnitPrice::from_micros(*micros);
}

template <>
json::value PlainCodec<Currency>::encode(const Currency& v) {
    return json::value(v.code());
}

template <>
std::optional<Currency> PlainCodec<Currency>::decode(const json::value& v, const Spot& spot) {
    auto currency = Currency::parse(v.is_string() ? std::string_view(v.get_string()) : "");
    if (currency) return *currency;
    spot.fault("format", currency.error().detail);
    return std::nullopt;
}

namespace detail {

const json::object* object_in(const json::value& v, const Spot& spot) {
    if (!v.is_object()) spot.fault("type", "expected an object");
    return v.if_object();
}

const json::array* array_in(const json::value& v, const Spot& spot) {
    if (!v.is_array()) spot.fault("type", "expected an array");
    return v.if_array();
}

const json::value* find(
    const json::object& source, std::string_view name, bool required, const Spot& spot
) {
    const json::value* found = source.if_contains(name);
    if (found == nullptr && required) spot.member(name).fault("required", "is missing");
    return found;
}

std::optional<std::size_t> name_in(
    const json::value& v, const std::string_view* names, std::size_t count, const Spot& spot
) {
    const std::string_view name = v.is_string() ? std::string_view(v.get_string()) : "";
    const auto* found = std::find(names, names + count, name);
    if (found != names + count) return static_cast<std::size_t>(found - names);
    spot.fault("one_of", fmt::format("one of: {}", fmt::join(names, names + count, ", ")));
    return std::nullopt;
}

Answer refuse(std::vector<FieldError> faults) {
    co_return invalid("validation_failed", "the arguments have faults, see errors")
        .with_fields(std::move(faults));
}

namespace {
Answer refuse_body(Error error) {
    co_return error;
}
}  // namespace

http::Route route(std::string_view module, std::string_view method, Invoke invoke) {
    auto handler = [invoke =
                        std::move(invoke)](const CallContext& ctx, const http::Request& request) {
        const auto arguments = json::parse(request.body);
        return arguments ? invoke(ctx, *arguments) : refuse_body(arguments.error());
    };
    // Of the checkout's class: shed last when the process is full, but shed.
    return http::Route(
               http::Method::post,
               fmt::format("/internal/{}/api/{}", module, method),
               http::Access::everyone(),
               fmt::format("{}::Api::{}, for other processes of souk", module, method),
               std::move(handler)
    )
        .rate(http::RateClass::checkout)
        .within(longest_call);
}

}  // namespace detail

Error bad_answer(const std::vector<FieldError>& faults) {
    std::string why = "the answer has faults";
    if (!faults.empty()) why = fmt::format("{}: {}", faults[0].pointer, faults[0].detail);
    return Error(ErrorKind::internal, "bad_peer_answer", std::move(why));
}

std::optional<Error> error_in(const http::Response& response) {
    if (!is_problem(response)) return std::nullopt;
    const auto body = json::parse(response.body);
    if (!body || !body->is_object()) return std::nullopt;
    const json::object& problem = body->get_object();
    std::string code = text_at(problem, "code");
    if (code.empty()) return std::nullopt;
    return Error(error_kind_of(response.status), std::move(code), text_at(problem, "detail"))
        .with_fields(fields_in(problem))
        .with_retry_after(seconds_in(response.headers.get("Retry-After")));
}

}  // namespace souk::wire
