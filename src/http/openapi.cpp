#include "http/openapi.hpp"

#include "http/chars.hpp"

namespace souk::http {
namespace {

using souk::json::array;
using souk::json::object;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = to_lower(c);
    return out;
}

/// "post_api_orders_id_cancel": unique, since two routes cannot share method and pattern.
std::string operation_id(const Route& route) {
    std::string out = lower(to_string(route.method));
    for (char c : route.pattern) {
        if (is_digit(c) || is_alpha(c))
            out.push_back(c);
        else if (out.back() != '_')
            out.push_back('_');
    }
    while (out.back() == '_')
        out.pop_back();
    return out;
}

object parameter(std::string_view name, std::string_view in, object schema) {
    object out;
    out["name"] = name;
    out["in"] = in;
    out["required"] = true;
    out["schema"] = std::move(schema);
    return out;
}

array parameters(const Endpoint& endpoint) {
    array out;
    for (auto name : endpoint.parameters) {
        object schema;
        schema["type"] = "string";
        out.push_back(parameter(name, "path", std::move(schema)));
    }
    if (endpoint.route.requires_key) {
        object schema;
        schema["type"] = "string";
        schema["minLength"] = 1;
        schema["maxLength"] = 255;
        out.push_back(parameter("Idempotency-Key", "header", std::move(schema)));
    }
    return out;
}

object json_content(std::string_view type, object schema) {
    object media;
    media["schema"] = std::move(schema);
    object out;
    out[type] = std::move(media);
    return out;
}

object request_body(const souk::json::Decoder& decoder) {
    object out;
    out["required"] = true;
    out["content"] = json_content("application/json", souk::json::schema_of(decoder));
    return out;
}

/// The refusals that the kernel itself may answer for this route.
std::vector<std::string_view> refusals(const Endpoint& endpoint) {
    std::vector<std::string_view> out = {"400"};
    if (endpoint.route.access.kind != Access::Kind::everyone) out.push_back("401");
    if (endpoint.route.access.kind == Access::Kind::permission) out.push_back("403");
    if (!endpoint.parameters.empty()) out.push_back("404");
    if (endpoint.route.requires_key) out.insert(out.end(), {"409", "422"});
    if (endpoint.route.decoder_) out.insert(out.end(), {"413", "415"});
    if (endpoint.route.rate_class != RateClass::none) out.push_back("429");
    out.push_back("default");
    return out;
}

object responses(const Endpoint& endpoint) {
    object success;
    success["description"] = "Success";
    object out;
    out[std::to_string(endpoint.route.success_status)] = std::move(success);
    object problem;
    problem["$ref"] = "#/components/responses/Problem";
    for (auto status : refusals(endpoint))
        out[status] = problem;
    return out;
}

object security(const Access& access) {
    object bearer;
    array scopes;
    if (!access.name.empty()) scopes.emplace_back(access.name);
    bearer["bearer"] = std::move(scopes);
    return bearer;
}

object operation(const Endpoint& endpoint) {
    const Route& route = endpoint.route;
    object out;
    out["operationId"] = operation_id(route);
    out["summary"] = route.summary;
    out["tags"] = array{souk::json::value(endpoint.module)};
    if (auto list = parameters(endpoint); !list.empty()) out["parameters"] = std::move(list);
    if (route.decoder_) out["requestBody"] = request_body(route.decoder_);
    out["responses"] = responses(endpoint);
    if (route.access.kind != Access::Kind::everyone) {
        array wanted;
        wanted.push_back(security(route.access));
        out["security"] = std::move(wanted);
    }
    return out;
}

object text_schema(std::string_view type) {
    object out;
    out["type"] = type;
    return out;
}

object field_error_schema() {
    object properties;
    for (auto name : {"pointer", "code", "detail"})
        properties[name] = text_schema("string");
    object out = text_schema("object");
    out["properties"] = std::move(properties);
    return out;
}

/// RFC 9457, with our members.
object problem_schema() {
    object properties;
    for (auto name : {"type", "title", "detail", "code", "request_id"})
        properties[name] = text_schema("string");
    properties["status"] = text_schema("integer");
    properties["retryable"] = text_schema("boolean");
    object errors = text_schema("array");
    errors["items"] = field_error_schema();
    properties["errors"] = std::move(errors);
    array required;
    for (auto name : {"status", "code", "request_id"})
        required.emplace_back(name);
    object out = text_schema("object");
    out["properties"] = std::move(properties);
    out["required"] = std::move(required);
    return out;
}

object components() {
    object bearer;
    bearer["type"] = "http";
    bearer["scheme"] = "bearer";
    object schemes;
    schemes["bearer"] = std::move(bearer);

    object schemas;
    schemas["Problem"] = problem_schema();

    object reference;
    reference["$ref"] = "#/components/schemas/Problem";
    object problem;
    problem["description"] = "What went wrong (RFC 9457)";
    problem["content"] = json_content("application/problem+json", std::move(reference));
    object answers;
    answers["Problem"] = std::move(problem);

    object out;
    out["securitySchemes"] = std::move(schemes);
    out["schemas"] = std::move(schemas);
    out["responses"] = std::move(answers);
    return out;
}

}  // namespace

object describe(const std::deque<Endpoint>& endpoints, std::string_view version) {
    object paths;
    for (const auto& endpoint : endpoints) {
        auto& path = paths[endpoint.route.pattern];
        if (!path.is_object()) path.emplace_object();
        path.get_object()[lower(to_string(endpoint.route.method))] = operation(endpoint);
    }
    object info;
    info["title"] = "souk";
    info["version"] = version;
    object out;
    out["openapi"] = "3.1.0";
    out["info"] = std::move(info);
    out["paths"] = std::move(paths);
    out["components"] = components();
    return out;
}

}  // namespace souk::http
