// `souk dev-certs`: what a split shop on a laptop needs so that its processes believe each other.
#include "base/system_clock.hpp"
#include "cli/commands.hpp"
#include "cli/common.hpp"
#include "host/deployments.hpp"
#include "host/registry.hpp"
#include "security/dev_ca.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace souk::cli {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Lines = std::vector<std::pair<std::string, std::string>>;  // a setting and its value

Names all_roles() {
    Names roles;
    for (const host::Deployment& one : host::deployments(souk::modules()))
        roles.push_back(one.role);
    roles.emplace_back(host::operator_role);
    return roles;
}

/// All files, in the order in which they are made.
Names all_files(const Names& roles) {
    Names files = {"ca.crt", "ca.key"};
    for (const std::string& role : roles) {
        files.push_back(role + ".crt");
        files.push_back(role + ".key");
    }
    files.emplace_back("identity.key");
    files.emplace_back("identity.pub");
    return files;
}

Result<Names> make(const fs::path& folder, const Names& roles) {
    auto made = security::make_dev_certificates(folder, roles, base::system_clock().now());
    if (!made) return made;
    auto identity = security::make_dev_identity(folder);
    if (!identity) return identity;
    made->insert(made->end(), identity->begin(), identity->end());
    return made;
}

Names others(const Names& files, const Names& made) {
    Names out;
    for (const std::string& file : files)
        if (std::find(made.begin(), made.end(), file) == made.end()) out.push_back(file);
    return out;
}

/// What the configuration of a process of that role says, in the section [internal].
Lines settings_of(const fs::path& folder, const std::string& role) {
    const auto in = [&](const std::string& file) { return (folder / file).string(); };
    Lines lines;
    lines.emplace_back("certificate_file", in(role + ".crt"));
    lines.emplace_back("key_file", in(role + ".key"));
    lines.emplace_back("ca_file", in("ca.crt"));
    if (role == "gateway")
        lines.emplace_back("identity_key_file", in("identity.key"));
    else if (role != host::operator_role)
        lines.emplace_back("identity_public_file", in("identity.pub"));
    return lines;
}

json::array to_json(const Names& names) {
    return json::array(names.begin(), names.end());
}

void print_json(const fs::path& folder, const Names& roles, const Names& made) {
    json::object settings;
    for (const std::string& role : roles) {
        json::object internal;
        for (const auto& [key, value] : settings_of(folder, role))
            internal["internal." + key] = value;
        settings[role] = std::move(internal);
    }
    json::object out;
    out["folder"] = folder.string();
    out["made"] = to_json(made);
    out["kept"] = to_json(others(all_files(roles), made));
    out["settings"] = std::move(settings);
    fmt::print("{}\n", json::serialize(out));
}

void print_text(const fs::path& folder, const Names& roles, const Names& made) {
    const Style style(STDOUT_FILENO);
    const Names kept = others(all_files(roles), made);
    fmt::print("{}{}{}\n", style.bold, folder.string(), style.reset);
    if (!made.empty()) fmt::print("made         {}\n", fmt::join(made, " "));
    if (!kept.empty()) fmt::print("there before {}\n", fmt::join(kept, " "));
    fmt::print(
        "\nThe settings of each process, here of `souk serve --modules=order`; the commands of an\n"
        "operator take operator.crt and operator.key, and no identity:\n\n[internal]\n"
    );
    for (const auto& [key, value] : settings_of(folder, "order"))
        fmt::print("{} = \"{}\"\n", key, value);
    fmt::print("\nThe gateway alone has, for the last line:\n\n");
    const auto [key, value] = settings_of(folder, "gateway").back();
    fmt::print("{} = \"{}\"\n", key, value);
}

}  // namespace

int dev_certs(const DevCertsOptions& options) {
    std::error_code error;
    fs::path folder = fs::absolute(options.folder, error).lexically_normal();
    if (error) return report(unavailable("dev_certs", options.folder + ": " + error.message()));
    if (!folder.has_filename()) folder = folder.parent_path();  // DIR/
    const Names roles = all_roles();
    const auto made = make(folder, roles);
    if (!made) return report(made.error());
    if (options.as_json)
        print_json(folder, roles, *made);
    else
        print_text(folder, roles, *made);
    return exit_ok;
}

}  // namespace souk::cli
