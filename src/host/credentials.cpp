#include "host/credentials.hpp"

#include "http/tls.hpp"

namespace souk::host {
namespace {

Result<http::TlsFiles> tls_files(const Config& config) {
    http::TlsFiles files;
    files.certificate = config.text("internal.certificate_file");
    files.key = config.text("internal.key_file");
    files.ca = config.text("internal.ca_file");
    if (files.empty()) return files;
    if (files.certificate.empty() || files.key.empty() || files.ca.empty())
        return invalid(
            "credentials",
            "internal.certificate_file, internal.key_file and internal.ca_file belong together: "
            "set all three"
        );
    if (!config.text("internal.shared_key_file").empty())
        return invalid(
            "credentials",
            "peers prove who they are by certificates or by internal.shared_key_file: unset one"
        );
    return files;
}

/// Whose word on the caller counts.
Result<security::InternalVerifier> verifier(
    const Config& config, const std::optional<security::SigningKeyPair>& own
) {
    if (own) return security::InternalVerifier({own->public_key()});
    auto keys = security::load_public_keys(config.text("internal.identity_public_file"));
    if (!keys) return keys.error();
    return security::InternalVerifier(*keys);
}

}  // namespace

Result<Credentials> Credentials::load(
    const Config& config, const Plan& plan, std::vector<std::string> callers, Clock& clock
) {
    Credentials out;
    auto files = tls_files(config);
    if (!files) return files.error();
    out.files = std::move(*files);
    if (out.files.empty()) {
        auto key = peers::load_peer_key(config.text("internal.shared_key_file"));
        if (!key) return key.error();
        out.shared_key = std::move(*key);
    } else {
        auto tls = http::Tls::load(out.files, http::Tls::Side::client, clock);
        if (!tls) return tls.error();
        out.tls = std::move(*tls);
    }
    if (plan.gateway) {
        auto key =
            security::SigningKeyPair::load_or_create(config.text("internal.identity_key_file"));
        if (!key) return key.error();
        out.identity_key.emplace(std::move(*key));
    }
    if (plan.modules.empty()) return out;
    auto believed = verifier(config, out.identity_key);
    if (!believed) return believed.error();
    auto credential = out.tls ? peers::PeerCredential::certificate(std::move(callers))
                              : peers::PeerCredential::shared_key(out.shared_key);
    out.edge =
        std::make_unique<peers::PeerEdge>(std::move(credential), std::move(*believed), clock);
    return out;
}

}  // namespace souk::host
