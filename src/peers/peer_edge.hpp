// Who may use the internal listener: peers that prove to be one, by their certificate or, in
// development, by a key that all share; and for whom they ask, by the gateway's signed word. All
// others get 401 or 403 without a reason. The operator's commands come by the same way, with a
// certificate of their own ("operator"), or with the shared key and Souk-Operator: 1.
#pragma once

#include "http/edge.hpp"
#include "peers/known_callers.hpp"
#include "souk/clock.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace souk::peers {

/// One of the two.
struct PeerCredential {
    /// A certificate must name one of these: as a whole ("order"), or a name whose first label is
    /// ("order-service" for "order-service.souk.svc").
    static PeerCredential certificate(std::vector<std::string> names);
    static PeerCredential shared_key(std::string key);

    std::vector<std::string> names;
    std::string key;
};

/// The key that peers share in development, as text, from a file of mode 0600 that is made when it
/// is absent: for PeerCredential::shared_key() and RemoteOptions::peer_key. Errors: `unavailable`
/// "peer_key" with the path and the reason.
Result<std::string> load_peer_key(const std::filesystem::path& file);

class PeerEdge final : public http::Edge {
public:
    PeerEdge(PeerCredential credential, security::InternalVerifier verifier, Clock& clock);

    /// Without Souk-Identity, the operator is "system" with the role "admin", as on the control
    /// socket; for others, internal routes ("/internal/...") see "system" with the role "peer", and
    /// the public API, which the gateway proxies here, sees nobody. Internal routes that are no
    /// module's Api ("/internal/<module>/api/...") are the operator's alone. Errors:
    /// `unauthenticated` "peer_refused" (no credential, or a false identity), `forbidden`
    /// "peer_refused" (a certificate of nobody's), `forbidden` "operator_only", `invalid`
    /// "bad_deadline"; what `route` asks of the identity: `unauthenticated`, `forbidden`.
    Task<Result<Identity>> admit_arrival(
        const http::Route& route,
        const http::Request& request,
        http::Arrival& arrival,
        http::Headers& response_headers
    ) override;
    Task<Result<Identity>> admit(
        const http::Route& route, const http::Request& request, http::Headers& response_headers
    ) override;
    void finish(const http::Request&, http::Headers&) override {}

private:
    Result<void> check_peer(const http::Request& request, const http::Arrival& arrival) const;
    bool is_known(const std::vector<std::string>& certificate_names) const;
    bool is_operator(const http::Request& request, const http::Arrival& arrival) const;
    Result<Identity> identify(
        const http::Route& route, const http::Request& request, bool by_operator
    ) const;
    Result<Identity> decide(
        const http::Route& route,
        const http::Request& request,
        http::Arrival& arrival,
        http::Headers& response_headers
    ) const;

    const PeerCredential credential_;
    const KnownCallers callers_;
    Clock& clock_;
};

}  // namespace souk::peers
