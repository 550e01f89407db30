// The HTTP way to a peer's Api: `souk::Remote` over a pool that the gateway may use beside it. See
// README.md.
#pragma once

#include "peers/pool.hpp"
#include "souk/remote.hpp"

#include <memory>
#include <vector>

namespace souk::peers {

class HttpRemote : public Remote {
public:
    /// As Pool::make().
    static Result<std::unique_ptr<HttpRemote>> make(
        RemoteOptions options,
        std::vector<Executor> threads,
        Clock& clock,
        Metrics& metrics,
        Resolver& resolver
    );
    /// The way there, for who has more to ask than the Api.
    virtual Pool& pool() = 0;
    /// Ends what is under way and in the background, and refuses what comes. Before the destructor,
    /// unless the contexts have ended.
    virtual Task<void> stop() = 0;
};

}  // namespace souk::peers
