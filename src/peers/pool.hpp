// The way to one peer, for all who ask it something: the client of its Api (HttpRemote) and the
// gateway, which sends requests on. One set of endpoints and connections, one breaker, one budget
// of retries, one line of figures. See README.md.
#pragma once

#include "peers/lane.hpp"
#include "peers/resolver.hpp"
#include "souk/context.hpp"
#include "souk/metrics.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souk::http {
class Tls;
}

namespace souk::peers {

struct RemoteOptions {
    std::string module;              // "product": the path and the metrics' label
    std::string addresses;           // "http://a:18000,http://b:18000"; https with `tls`
    std::string peer_key;            // in development instead of a certificate
    std::shared_ptr<http::Tls> tls;  // of Side::client
    LaneOptions lane;                // limits a thread
    milliseconds resolve_every{5'000};
};

/// What an answer is, to who asked. `foreign`: not the peer's (a proxy's, another program's, a
/// listener's that did not let us in); `why` then says what it is.
enum class Verdict : std::uint8_t { ok, error, foreign };
class Judge {
public:
    virtual ~Judge() = default;
    virtual Verdict judge(const http::Response& answer, std::string& why) = 0;
};

class Pool {
public:
    /// `threads`: all contexts from which calls will come; the first one looks names up. All else
    /// must outlive it. Errors: `invalid` "bad_peer_address", `invalid` "peer_tls" (https without
    /// certificates).
    static Result<std::unique_ptr<Pool>> make(
        RemoteOptions options,
        std::vector<Executor> threads,
        Clock& clock,
        Metrics& metrics,
        Resolver& resolver
    );
    virtual ~Pool() = default;

    /// Sends `request`, to which the fields of a call are added, and returns the peer's answer,
    /// whatever it says. Errors: `unavailable` "peer_unavailable" (may have executed), `timeout`,
    /// `invalid` "bad_request" (a malformed field); of what is sent on, also `timeout` when
    /// no answer came in time, and what Outgoing::stream failed with.
    virtual Task<Result<http::Response>> ask(
        std::shared_ptr<Outgoing> request, const CallContext& ctx, Judge& judge
    ) = 0;
    /// As ask(). The peer's answer is what has Souk-Admitted; a long one is a stream, whose
    /// connection serves again when it was read to its end.
    Task<Result<http::Response>> forward(std::shared_ptr<Outgoing> request, const CallContext& ctx);

    virtual const std::string& module() const = 0;
    /// Ends what is under way and in the background, and refuses what comes. Before the destructor,
    /// unless the contexts have ended.
    virtual Task<void> stop() = 0;
};

}  // namespace souk::peers
