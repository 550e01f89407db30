#include "host/diagnosis_peers.hpp"

#include "host/control_peers.hpp"
#include "host/credentials.hpp"
#include "host/diagnosis_servers.hpp"
#include "http/client.hpp"
#include "peers/address.hpp"
#include "peers/wire.hpp"
#include "security/tokens.hpp"
#include "souk/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace souk::host {
namespace {

constexpr seconds patience{5};
constexpr std::string_view peers_prefix = "peers.";
/// What every internal listener has, and changes nothing.
constexpr std::string_view probe = "/internal/events/dead";

/// The modules to ask, of those that have an address.
std::vector<std::string> peers_in(const Config& config, const Plan& plan) {
    std::vector<std::string> modules;
    if (plan.split) {
        for (const ModuleInfo* info : plan.remote)
            modules.emplace_back(info->name);
        return modules;
    }
    for (const auto& [key, value] : config.values())
        if (key.starts_with(peers_prefix) && !value.value.empty())
            modules.push_back(key.substr(peers_prefix.size()));
    return modules;
}

/// Whether a certificate that shows `names` is of `module`: "order", "order-service.souk.svc".
bool is_of(const std::vector<std::string>& names, const std::string& module) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        const auto label = name.substr(0, name.find('.'));
        return label == module || label == module + "-service";
    });
}

Check check_public_key(const Config& config) {
    const std::string& file = config.text("internal.identity_public_file");
    const auto keys = security::load_public_keys(file);
    if (keys) return Check("identity", Verdict::ok, fmt::format("the gateway's keys, {}", file));
    return Check(
        "identity",
        Verdict::fail,
        keys.error().detail,
        look_at(config, "internal.identity_public_file")
    );
}

Check check_identity_key(const Config& config) {
    const std::string& file = config.text("internal.identity_key_file");
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
        return Check(
            "identity key",
            Verdict::warn,
            fmt::format("{} is not there; the gateway makes it, and nobody believes it then", file),
            "make it with its public half: `souk dev-certs`"
        );
    const auto pair = security::SigningKeyPair::load_or_create(file);
    if (pair) return Check("identity key", Verdict::ok, file);
    return Check(
        "identity key",
        Verdict::fail,
        pair.error().detail,
        look_at(config, "internal.identity_key_file")
    );
}

/// What the listener's answer says of the credential that it was shown.
Check judge_admission(std::string name, std::string place, const http::Response& response) {
    const bool let_in = response.headers.has(peers::field::admitted);
    if (let_in && response.status == 200)
        return Check(std::move(name), Verdict::ok, place + ", takes this for the operator's");
    if (let_in) return Check(std::move(name), Verdict::ok, place + ", takes this for a peer's");
    if (response.status == 401 || response.status == 403)
        return Check(
            std::move(name),
            Verdict::fail,
            place + ", does not take this for a peer's that may call it",
            "let internal.certificate_file name a caller of it, or the operator; with "
            "internal.shared_key_file all have the same key"
        );
    return Check(
        std::move(name),
        Verdict::fail,
        fmt::format("{}, answers {}: no internal listener of souk's", place, response.status)
    );
}

class PeersDiagnosis {
public:
    PeersDiagnosis(Config config, Plan plan, Executor executor, Clock& clock)
        : config_(std::move(config)), plan_(std::move(plan)), executor_(executor), clock_(clock) {}

    Task<Checks> run() {
        if (!config_.text("internal.identity_key_file").empty())
            checks_.push_back(check_identity_key(config_));
        if (!config_.text("internal.identity_public_file").empty())
            checks_.push_back(check_public_key(config_));
        const std::vector<std::string> modules = peers_in(config_, plan_);
        if (!modules.empty() && load_credentials())
            for (const std::string& module : modules)
                co_await check_module(module);
        co_return std::move(checks_);
    }

private:
    bool load_credentials() {
        const std::string& key = config_.text("internal.shared_key_file");
        const bool certificates = !config_.text("internal.certificate_file").empty();
        std::error_code ignored;
        if (!certificates && !std::filesystem::exists(key, ignored)) {
            checks_.emplace_back(
                "credential",
                Verdict::fail,
                key.empty() ? "peers are set, and nothing by which they would believe this process"
                            : fmt::format("{} is not there", key),
                "set internal.certificate_file, key_file and ca_file (`souk dev-certs` makes "
                "some), or in development internal.shared_key_file"
            );
            return false;
        }
        auto loaded = Credentials::load(config_, Plan(), {}, clock_);
        if (!loaded) {
            checks_.emplace_back(
                "credential",
                Verdict::fail,
                loaded.error().detail,
                look_at(
                    config_, certificates ? "internal.certificate_file" : "internal.shared_key_file"
                )
            );
            return false;
        }
        credentials_.emplace(std::move(*loaded));
        checks_.emplace_back(
            "credential",
            Verdict::ok,
            certificates ? config_.text("internal.certificate_file") : "the peers' key, " + key
        );
        return true;
    }

    Task<void> check_module(std::string module) {
        const std::string setting = fmt::format("peers.{}", module);
        auto addresses = peers::parse_addresses(config_.text(setting));
        if (!addresses) {
            fail(module, addresses.error().detail);
            co_return;
        }
        for (const peers::Address& address : *addresses) {
            auto target = peer_target(address, *credentials_);
            if (!target) {
                fail(module, target.error().detail);
                continue;
            }
            Check found = co_await check_place(module, url_of(address), std::move(*target));
            checks_.push_back(std::move(found));
        }
    }

    Task<Check> check_place(std::string module, std::string place, http::ClientTarget target) {
        const bool secure = target.tls != nullptr;
        http::Client client(executor_, std::move(target));
        http::Headers headers;
        prove_operator(headers, *credentials_);
        const Deadline deadline(clock_, patience);
        auto response = co_await client.send(
            http::Method::get,
            std::string(probe),
            std::move(headers),
            std::string(),
            clock_,
            deadline
        );
        std::string name = fmt::format("peer {}", module);
        const std::string setting = fmt::format("peers.{}", module);
        if (!response)
            co_return Check(
                std::move(name),
                Verdict::fail,
                fmt::format("{}: {}", place, response.error().detail),
                look_at(config_, setting)
            );
        Check found = judge_admission(std::move(name), std::move(place), *response);
        const std::vector<std::string> names = client.peer_names();
        if (!secure) co_return found;
        found.detail += fmt::format("; its certificate says {}", fmt::join(names, ", "));
        if (is_of(names, module) || found.verdict == Verdict::fail) co_return found;
        found.verdict = Verdict::warn;
        found.mend = fmt::format("that is not {}? {}", module, look_at(config_, setting));
        co_return found;
    }

    void fail(const std::string& module, std::string detail) {
        checks_.emplace_back(
            fmt::format("peer {}", module),
            Verdict::fail,
            std::move(detail),
            look_at(config_, fmt::format("peers.{}", module))
        );
    }

    const Config config_;
    const Plan plan_;
    const Executor executor_;
    Clock& clock_;
    std::optional<Credentials> credentials_;
    Checks checks_;
};

}  // namespace

Task<std::vector<Check>> check_peers(Config config, Plan plan, Executor executor, Clock& clock) {
    PeersDiagnosis diagnosis(std::move(config), std::move(plan), executor, clock);
    co_return co_await diagnosis.run();
}

}  // namespace souk::host
