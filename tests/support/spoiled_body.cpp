#include "support/spoiled_body.hpp"

#include <algorithm>
#include <stdexcept>

namespace souk::test {
namespace {

bool lists(const json::value& texts, std::string_view text) {
    const json::array& list = texts.as_array();
    return std::any_of(list.begin(), list.end(), [&](const json::value& each) {
        return each.as_string() == text;
    });
}

std::string replaced(json::value body, const std::string& pointer, const std::string& raw) {
    constexpr std::string_view mark = "@@here@@";
    body.at_pointer(pointer) = mark;
    std::string text = json::serialize(body);
    return text.replace(text.find(mark) - 1, mark.size() + 2, raw);
}

}  // namespace

bool allows(const json::object& schema, std::string_view type) {
    const json::value& allowed = schema.at("type");
    return allowed.is_string() ? allowed.get_string() == type : lists(allowed, type);
}

std::int64_t limit_of(const json::object& schema, std::string_view name, std::int64_t otherwise) {
    const auto* found = schema.if_contains(name);
    return found == nullptr ? otherwise : found->to_number<std::int64_t>();
}

SpoiledBody::SpoiledBody(StagedShop& shop, const Operation& operation)
    : shop_(shop)
    , operation_(operation)
    , caller_(shop.caller_for(operation))
    , sample_(shop.sample_body(operation)) {
    walk("", operation.body);
}

void SpoiledBody::walk(const std::string& pointer, const json::object& schema) {
    objects_.emplace_back(pointer, schema);
    const auto* required = schema.if_contains("required");
    for (const auto& property : schema.at("properties").as_object()) {
        const json::object& inner = property.value().as_object();
        const std::string at = pointer + "/" + std::string(property.key());
        boost::json::error_code ec;
        if (sample_.find_pointer(at, ec) == nullptr)
            throw std::logic_error("the sample of " + operation_.name + " lacks " + at);
        const bool needed = required != nullptr && lists(*required, property.key());
        members_.emplace_back(at, inner, needed);
        if (allows(inner, "object")) walk(at, inner);
        if (allows(inner, "array")) walk(at + "/0", inner.at("items").as_object());
    }
}

std::string SpoiledBody::with(const std::string& pointer, const std::string& raw) const {
    return replaced(sample_, pointer, raw);
}

std::string SpoiledBody::with_fresh(const std::string& pointer, const std::string& raw) const {
    return replaced(shop_.sample_body(operation_), pointer, raw);
}

std::string SpoiledBody::without(const std::string& pointer) const {
    json::value body = sample_;
    const auto slash = pointer.rfind('/');
    body.at_pointer(pointer.substr(0, slash)).as_object().erase(pointer.substr(slash + 1));
    return json::serialize(body);
}

std::string SpoiledBody::text_at(const std::string& pointer) const {
    return json::serialize(sample_.at_pointer(pointer));
}

http::Response SpoiledBody::send(const std::string& body) const {
    return shop_.send(operation_, caller_, body);
}

}  // namespace souk::test
