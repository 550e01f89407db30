#include "host/control_peers.hpp"

#include "host/plan.hpp"
#include "peers/wire.hpp"
#include "souk/json.hpp"
#include "souk/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace souk::host {
namespace {

using Infos = std::vector<const ModuleInfo*>;

constexpr seconds patience{120};  // as on the control socket
constexpr std::string_view dead_letters = "/internal/events/dead";
constexpr std::string_view internal_prefix = "/internal/";
constexpr std::string_view public_prefix = "/api/";

std::string_view first_segment(std::string_view path, std::string_view prefix) {
    const std::string_view rest = path.substr(prefix.size());
    return rest.substr(0, rest.find_first_of("/?"));
}

/// One of the addresses of one module.
struct Place {
    Place(const peers::Address& address, Executor executor, http::ClientTarget target)
        : url(url_of(address)), client(executor, std::move(target)) {}
    std::string url;
    http::Client client;
};
using Places = std::vector<std::unique_ptr<Place>>;

Result<Places> places_of(
    const std::string& module,
    const std::string& addresses,
    const Credentials& credentials,
    Executor executor
) {
    const auto bad = [&](std::string_view why) {
        return invalid("config", fmt::format("peers.{}: {}", module, why));
    };
    auto parsed = peers::parse_addresses(addresses);
    if (!parsed) return bad(parsed.error().detail);
    Places places;
    for (const peers::Address& address : *parsed) {
        auto target = peer_target(address, credentials);
        if (!target) return bad(target.error().detail);
        places.push_back(std::make_unique<Place>(address, executor, std::move(*target)));
    }
    return places;
}

/// Whether the listener, or its edge, took us for somebody else than the operator.
bool is_refusal(const http::Response& response) {
    if (response.status != 401 && response.status != 403) return false;
    if (!response.headers.has(peers::field::admitted)) return true;
    const auto problem = wire::error_in(response);
    return problem && problem->code == "operator_only";
}

class PeersClient final : public ControlClient {
public:
    PeersClient(Infos available, Credentials credentials, Clock& clock)
        : available_(std::move(available)), credentials_(std::move(credentials)), clock_(clock) {}

    Result<void> add(const std::string& module, const std::string& addresses, Executor executor) {
        auto places = places_of(module, addresses, credentials_, executor);
        if (!places) return places.error();
        places_.emplace(module, std::move(*places));
        return {};
    }

    Task<Result<http::Response>> send(
        http::Method method, std::string target, std::string body, http::Headers headers
    ) override {
        if (target == dead_letters && method == http::Method::get)
            co_return co_await collect_dead_letters(std::move(headers));
        auto module = addressee(target, body);
        if (!module) co_return module.error();
        co_return co_await ask(
            std::move(*module), method, std::move(target), std::move(body), std::move(headers)
        );
    }
    bool in_process() const override { return false; }
    Task<void> close() override { co_return; }

private:
    Result<std::string> addressee(const std::string& target, const std::string& body) const {
        if (target.starts_with(dead_letters)) return consumer_in(body);
        const ModuleInfo* info = module_of(target, available_);
        if (info == nullptr) return not_found(fmt::format("no module has {}", target));
        return std::string(info->name);
    }

    /// The module whose dead letter is meant: its process has it.
    static Result<std::string> consumer_in(const std::string& body) {
        std::string consumer;
        auto read = json::decode(body, json::Unknown::ignore, [&](json::ObjectReader& in) {
            consumer = in.text("consumer");
        });
        if (!read) return read.error();
        return consumer;
    }

    Task<Result<http::Response>> ask(
        std::string module,
        http::Method method,
        std::string target,
        std::string body,
        http::Headers headers
    ) {
        const auto it = places_.find(module);
        if (it == places_.end()) co_return nowhere(module);
        complete_request(method, body, headers);
        prove_operator(headers, credentials_);
        const Deadline deadline(clock_, patience);
        Error last;
        for (const auto& place : it->second) {
            auto response =
                co_await place->client.send(method, target, headers, body, clock_, deadline);
            if (response && is_refusal(*response)) co_return refused(module, place->url);
            if (response) co_return response;
            last = response.error();
            last.detail = fmt::format("{} at {}: {}", module, place->url, last.detail);
            if (last.code != "connect") break;  // it may have executed
        }
        co_return last;
    }

    Task<Result<http::Response>> collect_dead_letters(http::Headers headers) {
        json::array letters;
        std::set<std::string> seen;  // several modules may live in one process
        for (const auto& [module, places] : places_) {
            std::string name = module;
            auto response = co_await ask(
                std::move(name),
                http::Method::get,
                std::string(dead_letters),
                std::string(),
                headers
            );
            if (!response || response->status != 200) co_return response;
            auto body = json::parse(response->body);
            if (!body) co_return body.error();
            for (json::value& letter : body->at("data").as_array())
                if (seen.insert(key_of(letter)).second) letters.push_back(std::move(letter));
        }
        json::object out;
        out["data"] = std::move(letters);
        co_return http::Response::json(out);
    }

    static std::string key_of(const json::value& letter) {
        return json::serialize(letter.at("consumer")) +
               json::serialize(letter.at("event").at("id"));
    }

    static Error nowhere(const std::string& module) {
        return invalid(
            "config",
            fmt::format(
                "peers.{0} is not set: where peers are set, commands go to each module at its "
                "address",
                module
            )
        );
    }

    static Error refused(const std::string& module, const std::string& url) {
        return Error(
            ErrorKind::forbidden,
            "peer_refused",
            fmt::format(
                "{} at {} does not take this for the operator's command: let "
                "internal.certificate_file and key_file name the operator's (`souk dev-certs` "
                "makes operator.crt and operator.key), or internal.shared_key_file the peers' key",
                module,
                url
            )
        );
    }

    const Infos available_;
    const Credentials credentials_;
    Clock& clock_;
    std::map<std::string, Places, std::less<>> places_;
};

}  // namespace

bool has_peers(const Config& config, const Infos& available) {
    return std::any_of(available.begin(), available.end(), [&](const ModuleInfo* info) {
        return !peer_address(config, info->name).empty();
    });
}

const ModuleInfo* module_of(std::string_view path, const Infos& available) {
    const bool internal = path.starts_with(internal_prefix);
    if (!internal && !path.starts_with(public_prefix)) return nullptr;
    const auto segment = first_segment(path, internal ? internal_prefix : public_prefix);
    const auto it = std::find_if(available.begin(), available.end(), [&](const ModuleInfo* info) {
        return segment == info->name || (!internal && segment == fmt::format("{}s", info->name));
    });
    return it == available.end() ? nullptr : *it;
}

Result<http::ClientTarget> peer_target(
    const peers::Address& address, const Credentials& credentials
) {
    if (address.tls && !credentials.tls)
        return invalid("config", "https needs internal.certificate_file, key_file and ca_file");
    http::ClientTarget target;
    target.host = address.host;
    target.port = address.port;
    if (address.tls) target.tls = credentials.tls;
    return target;
}

std::string url_of(const peers::Address& address) {
    return fmt::format("{}://{}", address.tls ? "https" : "http", address.host_field());
}

void prove_operator(http::Headers& headers, const Credentials& credentials) {
    if (credentials.shared_key.empty()) return;
    headers.set(peers::field::peer_key, credentials.shared_key);
    headers.set(peers::field::as_operator, "1");
}

Result<std::unique_ptr<ControlClient>> connect_peers(
    Executor executor, const Config& config, Infos available, Clock& clock
) {
    const bool certificates = !config.text("internal.certificate_file").empty();
    if (!certificates && config.text("internal.shared_key_file").empty())
        return invalid(
            "config",
            "peers are set, so commands go to them, and must prove to be the operator's: set "
            "internal.certificate_file, key_file and ca_file (`souk dev-certs` makes operator.crt, "
            "operator.key and ca.crt), or in development internal.shared_key_file"
        );
    // As a process that loads nothing.
    auto credentials = Credentials::load(config, Plan(), {}, clock);
    if (!credentials) return credentials.error();
    auto client = std::make_unique<PeersClient>(available, std::move(*credentials), clock);
    for (const ModuleInfo* info : available) {
        const std::string addresses = peer_address(config, info->name);
        if (addresses.empty()) continue;
        auto added = client->add(std::string(info->name), addresses, executor);
        if (!added) return added.error();
    }
    std::unique_ptr<ControlClient> out = std::move(client);
    return out;
}

}  // namespace souk::host
