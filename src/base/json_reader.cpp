#include "souk/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace souk::json {
namespace {

// A hostile body may hold a fault a byte; nobody reads more than these.
constexpr std::size_t max_faults = 100;

/// One token of an RFC 6901 pointer.
std::string pointer_token(std::string_view name) {
    std::string token = "/";
    for (char c : name) {
        if (c == '~') {
            token += "~0";
        } else if (c == '/') {
            token += "~1";
        } else {
            token += c;
        }
    }
    return token;
}

bool has_type(const value& v, std::string_view type) {
    if (type == "string") return v.is_string();
    if (type == "integer") return v.is_int64() || v.is_uint64();
    if (type == "boolean") return v.is_bool();
    if (type == "array") return v.is_array();
    return v.is_object();
}

bool is_local_character(char c) {
    constexpr std::string_view allowed = "!#$%&'*+/=?^_`{|}~.-";
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           allowed.find(c) != std::string_view::npos;
}

bool is_domain_label(std::string_view label) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
        return false;
    return std::all_of(label.begin(), label.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
    });
}

/// An address as people have them: RFC 5321 without quoted parts, comments and address literals,
/// ASCII only (so nothing that could steer a mail header), with a dot in its domain.
bool is_email(std::string_view text) {
    auto at = text.find('@');
    if (at == std::string_view::npos || text.size() > 254) return false;
    std::string_view local = text.substr(0, at);
    std::string_view domain = text.substr(at + 1);
    if (local.empty() || local.size() > 64 || local.front() == '.' || local.back() == '.')
        return false;
    if (local.find("..") != std::string_view::npos || domain.find('.') == std::string_view::npos)
        return false;
    if (!std::all_of(local.begin(), local.end(), is_local_character)) return false;
    while (true) {
        auto dot = domain.find('.');
        if (!is_domain_label(domain.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        domain.remove_prefix(dot + 1);
    }
}

}  // namespace

struct ObjectReader::Faults {
    void add(std::string pointer, std::string code, std::string detail) {
        if (list.size() < max_faults)
            list.emplace_back(std::move(pointer), std::move(code), std::move(detail));
    }
    std::vector<FieldError> list;
};

ObjectReader::ObjectReader(
    const object& source, Unknown unknown, Faults& faults, std::string pointer
)
    : source_(&source), unknown_(unknown), faults_(faults), pointer_(std::move(pointer)) {}

ObjectReader::ObjectReader(object& schema, Faults& faults) : schema_(&schema), faults_(faults) {
    schema["type"] = "object";
    schema["properties"].emplace_object();
    schema["additionalProperties"] = false;
}

ObjectReader::~ObjectReader() {
    if (source_ == nullptr || unknown_ == Unknown::ignore) return;
    for (const auto& member : *source_) {
        std::string_view name = member.key();
        if (std::find(read_.begin(), read_.end(), name) == read_.end())
            fault(name, "unknown", "no such member");
    }
}

void ObjectReader::fault(std::string_view member, std::string code, std::string detail) {
    std::string token = member.starts_with('/') ? std::string(member) : pointer_token(member);
    faults_.add(pointer_ + token, std::move(code), std::move(detail));
}

/// When recording: notes the member and returns its schema; otherwise null.
object* ObjectReader::describe(std::string_view name, bool required, std::string_view type) {
    if (schema_ == nullptr) return nullptr;
    value& member = (*schema_)["properties"].get_object()[name];
    member.emplace_object()["type"] = type;
    if (required) {
        value& list = (*schema_)["required"];
        if (!list.is_array()) list.emplace_array();
        list.get_array().emplace_back(name);
    } else {
        member.get_object()["type"] = array{value(type), value("null")};
    }
    return &member.get_object();
}

/// The member when present and of `type`; otherwise null, and a fault where there is one.
const value* ObjectReader::find(std::string_view name, bool required, std::string_view type) {
    read_.push_back(name);
    const value* found = source_->if_contains(name);
    if (found == nullptr || (found->is_null() && !required)) {
        if (required) fault(name, "required", "this member is required");
        return nullptr;
    }
    if (has_type(*found, type)) return found;
    bool vowel = type.front() == 'a' || type.front() == 'i' || type.front() == 'o';
    fault(name, "type", fmt::format("expected {} {}", vowel ? "an" : "a", type));
    return nullptr;
}

std::optional<std::string> ObjectReader::read_text(
    std::string_view name, TextRule rule, bool required
) {
    if (object* schema = describe(name, required, "string")) {
        if (rule.min > 0) (*schema)["minLength"] = rule.min;
        (*schema)["maxLength"] = rule.max;
        if (!rule.format.empty()) (*schema)["format"] = rule.format;
        return std::nullopt;
    }
    const value* found = find(name, required, "string");
    if (found == nullptr) return std::nullopt;
    std::string_view text = found->get_string();
    if (text.size() < rule.min) {
        fault(name, "too_short", fmt::format("at least {} bytes", rule.min));
    } else if (text.size() > rule.max) {
        fault(name, "too_long", fmt::format("at most {} bytes", rule.max));
    } else if (rule.format == "email" && !is_email(text)) {
        fault(name, "format", "not an e-mail address");
    } else {
        return std::string(text);
    }
    return std::nullopt;
}

std::string ObjectReader::text(std::string_view name, TextRule rule) {
    return read_text(name, rule, true).value_or("");
}

std::optional<std::string> ObjectReader::optional_text(std::string_view name, TextRule rule) {
    return read_text(name, rule, false);
}

std::optional<std::int64_t> ObjectReader::read_integer(
    std::string_view name, IntegerRule rule, bool required
) {
    using Limits = std::numeric_limits<std::int64_t>;
    if (object* schema = describe(name, required, "integer")) {
        if (rule.min != Limits::min()) (*schema)["minimum"] = rule.min;
        if (rule.max != Limits::max()) (*schema)["maximum"] = rule.max;
        return std::nullopt;
    }
    const value* found = find(name, required, "integer");
    if (found == nullptr) return std::nullopt;
    // What the tokenizer yields as unsigned is beyond int64.
    if (found->is_uint64() || found->get_int64() > rule.max) {
        fault(name, "too_large", fmt::format("at most {}", rule.max));
    } else if (found->get_int64() < rule.min) {
        fault(name, "too_small", fmt::format("at least {}", rule.min));
    } else {
        return found->get_int64();
    }
    return std::nullopt;
}

std::int64_t ObjectReader::integer(std::string_view name, IntegerRule rule) {
    std::int64_t harmless = std::clamp<std::int64_t>(0, rule.min, rule.max);
    return read_integer(name, rule, true).value_or(harmless);
}

std::optional<std::int64_t> ObjectReader::optional_integer(
    std::string_view name, IntegerRule rule
) {
    return read_integer(name, rule, false);
}

bool ObjectReader::boolean(std::string_view name, bool fallback) {
    if (object* schema = describe(name, false, "boolean")) {
        (*schema)["default"] = fallback;
        return fallback;
    }
    const value* found = find(name, false, "boolean");
    return found == nullptr ? fallback : found->get_bool();
}

std::string ObjectReader::one_of(
    std::string_view name, std::initializer_list<std::string_view> values
) {
    std::string harmless(values.size() == 0 ? std::string_view() : *values.begin());
    if (object* schema = describe(name, true, "string")) {
        array& list = (*schema)["enum"].emplace_array();
        for (std::string_view allowed : values)
            list.emplace_back(allowed);
        return harmless;
    }
    const value* found = find(name, true, "string");
    if (found == nullptr) return harmless;
    std::string text(found->get_string());
    if (std::find(values.begin(), values.end(), text) != values.end()) return text;
    fault(name, "one_of", fmt::format("one of: {}", fmt::join(values, ", ")));
    return harmless;
}

bool ObjectReader::read_object(
    std::string_view name, const std::function<void(ObjectReader&)>& read, bool required
) {
    if (object* schema = describe(name, required, "object")) {
        value type = schema->at("type");  // the nested reader knows nothing of "or null"
        {
            ObjectReader nested(*schema, faults_);
            read(nested);
        }
        (*schema)["type"] = std::move(type);
        return true;
    }
    const value* found = find(name, required, "object");
    if (found == nullptr) return false;
    ObjectReader nested(found->get_object(), unknown_, faults_, pointer_ + pointer_token(name));
    read(nested);
    return true;
}

void ObjectReader::object_at(
    std::string_view name, const std::function<void(ObjectReader&)>& read
) {
    if (read_object(name, read, true)) return;
    // The caller's own variables must be set even so: it reads an object without members, whose
    // faults would only repeat the one that is there.
    Faults repeated;
    object empty;
    ObjectReader nested(empty, unknown_, repeated, pointer_);
    read(nested);
}

bool ObjectReader::optional_object(
    std::string_view name, const std::function<void(ObjectReader&)>& read
) {
    return read_object(name, read, false);
}

void ObjectReader::each(
    std::string_view name,
    std::size_t min,
    std::size_t max,
    const std::function<void(ObjectReader&)>& read
) {
    if (object* schema = describe(name, true, "array")) {
        if (min > 0) (*schema)["minItems"] = min;
        (*schema)["maxItems"] = max;
        ObjectReader nested((*schema)["items"].emplace_object(), faults_);
        read(nested);
        return;
    }
    const value* found = find(name, true, "array");
    if (found == nullptr) return;
    const array& elements = found->get_array();
    if (elements.size() < min) fault(name, "too_short", fmt::format("at least {} elements", min));
    if (elements.size() > max) {
        fault(name, "too_long", fmt::format("at most {} elements", max));
        return;
    }
    std::string base = pointer_ + pointer_token(name) + '/';
    for (std::size_t i = 0; i < elements.size(); ++i) {
        std::string pointer = base + std::to_string(i);
        if (!elements[i].is_object()) {
            faults_.add(std::move(pointer), "type", "expected an object");
            continue;
        }
        ObjectReader nested(elements[i].get_object(), unknown_, faults_, std::move(pointer));
        read(nested);
    }
}

Result<void> decode(std::string_view text, Unknown unknown, const Decoder& decoder) {
    Result<value> parsed = parse(text);
    if (!parsed) return parsed.error();
    ObjectReader::Faults faults;
    if (parsed->is_object()) {
        ObjectReader reader(parsed->get_object(), unknown, faults, "");
        decoder(reader);
    } else {
        faults.add("", "type", "expected an object");
    }
    if (faults.list.empty()) return Result<void>();
    return invalid("validation_failed", "the request body has faults, see errors")
        .with_fields(std::move(faults.list));
}

object schema_of(const Decoder& decoder) {
    object schema;
    ObjectReader::Faults faults;
    ObjectReader reader(schema, faults);
    decoder(reader);
    return schema;
}

}  // namespace souk::json
