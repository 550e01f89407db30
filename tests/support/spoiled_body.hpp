// A route's sample body, spoiled in one place at a time. What there is to spoil comes from the
// route's schema in the OpenAPI document.
#pragma once

#include "souk/json.hpp"
#include "support/staged_shop.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

/// A member of a sample body, with what the schema says of it.
struct BodyMember {
    BodyMember(std::string pointer, const json::object& schema, bool required)
        : pointer(std::move(pointer)), schema(&schema), required(required) {}
    std::string pointer;
    const json::object* schema;
    bool required;
};

/// An object in a sample body, and the schema of its members.
struct BodyObject {
    BodyObject(std::string pointer, const json::object& schema)
        : pointer(std::move(pointer)), schema(&schema) {}
    std::string pointer;
    const json::object* schema;
};

/// Whether a schema allows a value of this JSON type.
bool allows(const json::object& schema, std::string_view type);
std::int64_t limit_of(const json::object& schema, std::string_view name, std::int64_t otherwise);

class SpoiledBody {
public:
    /// Throws std::logic_error when the sample lacks a member of the schema.
    SpoiledBody(StagedShop& shop, const Operation& operation);

    const std::vector<BodyMember>& members() const { return members_; }
    const std::vector<BodyObject>& objects() const { return objects_; }
    const json::value& sample() const { return sample_; }
    const Operation& operation() const { return operation_; }
    const Caller* caller() const { return caller_; }
    StagedShop& shop() const { return shop_; }

    /// The sample with this text, be it JSON or not, in place of a member's value.
    std::string with(const std::string& pointer, const std::string& raw) const;
    /// The same with a sample that was never sent.
    std::string with_fresh(const std::string& pointer, const std::string& raw) const;
    std::string without(const std::string& pointer) const;
    /// The text of a member's value in the sample.
    std::string text_at(const std::string& pointer) const;

    http::Response send(const std::string& body) const;

private:
    void walk(const std::string& pointer, const json::object& schema);

    StagedShop& shop_;
    const Operation& operation_;
    const Caller* caller_;
    json::value sample_;
    std::vector<BodyMember> members_;
    std::vector<BodyObject> objects_;
};

}  // namespace souk::test
