// What a process of a split shop shows to the others and demands of them, from the files that
// [internal] names: certificates (or, in development, a shared key), and the key pair by which the
// gateway says who asks. Production takes the files from elsewhere (cert-manager, a mesh);
// `souk dev-certs` makes them for a laptop.
#pragma once

#include "host/config.hpp"
#include "host/plan.hpp"
#include "http/tls_files.hpp"
#include "peers/peer_edge.hpp"
#include "security/tokens.hpp"
#include "souk/clock.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souk::http {
class Tls;
}

namespace souk::host {

struct Credentials {
    http::TlsFiles files;            // empty: the shared key
    std::shared_ptr<http::Tls> tls;  // of calls to peers; null: the shared key
    std::string shared_key;          // a secret; empty: certificates
    std::optional<security::SigningKeyPair> identity_key;  // with the gateway only
    std::unique_ptr<peers::PeerEdge> edge;  // of the internal listener; null: no module is here

    /// `callers`: whose certificates the internal listener believes. Errors: `invalid`
    /// "credentials" (half of a set is named), `unavailable` "tls", "peer_key", "signing_key",
    /// "public_key" with the file and the reason.
    static Result<Credentials> load(
        const Config& config, const Plan& plan, std::vector<std::string> callers, Clock& clock
    );
};

}  // namespace souk::host
