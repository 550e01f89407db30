#include "http/encode.hpp"

namespace souk::user::http_api {

json::value to_json(const User& user) {
    json::object out;
    out["id"] = user.id;
    out["email"] = user.email;
    out["name"] = user.name;
    out["role"] = user.role;
    out["created_at"] = to_rfc3339(user.created_at);
    return out;
}

json::value to_json(const app::SignedIn& signed_in) {
    json::object out;
    out["user"] = to_json(signed_in.user);
    out["access_token"] = signed_in.access_token;
    out["token_type"] = "Bearer";
    out["expires_in"] = signed_in.expires_in.count();
    out["refresh_token"] = signed_in.refresh_token;
    return out;
}

json::value to_json(const std::vector<store::ImportedId>& ids) {
    json::array out;
    out.reserve(ids.size());
    for (const auto& imported : ids) {
        json::object one;
        one["external_ref"] = imported.external_ref;
        one["id"] = imported.id;
        out.push_back(std::move(one));
    }
    return out;
}

json::array to_json(const app::Audit& audit) {
    json::array out;
    for (const auto& count : audit.roles) {
        json::object one;
        one["kind"] = "user_count";
        one["role"] = count.role;
        one["count"] = count.users;
        out.push_back(std::move(one));
    }
    json::object last;
    last["kind"] = "revocation_count";
    last["count"] = audit.revocations;
    out.push_back(std::move(last));
    return out;
}

}  // namespace souk::user::http_api
