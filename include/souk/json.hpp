// JSON in and out. Input is read strictly: UTF-8 checked, depth at most 32, no duplicate members,
// no NUL, no number that a 64-bit integer or a finite double cannot hold (Boost.JSON 1.81 accepts
// all of these). Decoders are written once, as a function that reads members from an
// `ObjectReader`; the same function run on a recording reader yields the JSON Schema for OpenAPI,
// so that the document cannot drift from what is accepted. For that a decoder reads all its members
// unconditionally.
#pragma once

#include "souk/error.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::json {

using boost::json::array;
using boost::json::object;
using boost::json::value;

/// Errors: `invalid` "malformed_json" (detail says what and at which byte).
Result<value> parse(std::string_view text);
std::string serialize(const value& v);

/// What to do with members that the decoder does not read: the public API refuses them, internal
/// calls and events ignore them, so that versions can roll.
enum class Unknown : std::uint8_t { refuse, ignore };

struct TextRule {
    std::size_t min = 0;
    std::size_t max = 1000;        // in bytes
    std::string_view format = {};  // "email", "uri", "id", documentation and for "email" a check
};

struct IntegerRule {
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

/// Reads the members of one object, collecting every fault with its pointer. A faulty or missing
/// member yields a harmless default; the caller checks once, at the end (`decode` does). For an
/// optional member null means absent.
class ObjectReader {
public:
    struct Faults;  // shared by nested readers
    ObjectReader(const object& source, Unknown unknown, Faults& faults, std::string pointer);
    /// A recording reader: every read adds to `schema`'s "properties" and "required".
    ObjectReader(object& schema, Faults& faults);
    ~ObjectReader();
    ObjectReader(const ObjectReader&) = delete;
    ObjectReader& operator=(const ObjectReader&) = delete;

    std::string text(std::string_view name, TextRule rule = {});
    std::optional<std::string> optional_text(std::string_view name, TextRule rule = {});
    std::int64_t integer(std::string_view name, IntegerRule rule = {});
    std::optional<std::int64_t> optional_integer(std::string_view name, IntegerRule rule = {});
    bool boolean(std::string_view name, bool fallback);
    std::string one_of(std::string_view name, std::initializer_list<std::string_view> values);
    void object_at(std::string_view name, const std::function<void(ObjectReader&)>& read);
    /// False when absent.
    bool optional_object(std::string_view name, const std::function<void(ObjectReader&)>& read);
    /// Calls `read` for each element, all of which must be objects.
    void each(
        std::string_view name,
        std::size_t min,
        std::size_t max,
        const std::function<void(ObjectReader&)>& read
    );
    /// Adds a fault of the caller's own. `member` is a name, or a pointer relative to this object
    /// ("/items/0/unit_amount").
    void fault(std::string_view member, std::string code, std::string detail);

private:
    object* describe(std::string_view name, bool required, std::string_view type);
    const value* find(std::string_view name, bool required, std::string_view type);
    std::optional<std::string> read_text(std::string_view name, TextRule rule, bool required);
    std::optional<std::int64_t> read_integer(
        std::string_view name, IntegerRule rule, bool required
    );
    bool read_object(
        std::string_view name, const std::function<void(ObjectReader&)>& read, bool required
    );
    const object* source_ = nullptr;
    object* schema_ = nullptr;
    Unknown unknown_ = Unknown::refuse;
    Faults& faults_;
    std::string pointer_;
    std::vector<std::string_view> read_;
};

using Decoder = std::function<void(ObjectReader&)>;

/// A typed reader, `T Read(ObjectReader&)`, as the documentation of a route's body.
template <auto Read>
Decoder documents() {
    return [](ObjectReader& in) { static_cast<void>(Read(in)); };
}

/// Errors: `invalid` "malformed_json", or "validation_failed" with a FieldError for each fault
/// (codes: required, type, too_short, too_long, too_small, too_large, format, one_of, unknown).
Result<void> decode(std::string_view text, Unknown unknown, const Decoder& decoder);
/// The JSON Schema (2020-12) of what `decoder` reads.
object schema_of(const Decoder& decoder);

/// `T read(ObjectReader&)` as a whole: parse, read, check.
template <class T>
Result<T> decode_as(
    std::string_view text, T (*read)(ObjectReader&), Unknown unknown = Unknown::refuse
) {
    std::optional<T> out;
    auto result = decode(text, unknown, [&](ObjectReader& in) { out.emplace(read(in)); });
    if (!result) return result.error();
    return std::move(*out);
}

}  // namespace souk::json
