// How a server hands its listening sockets on to its successor on the same machine, so that no
// client finds the door closed: over a Unix socket in the data folder (handover.sock, 0600; the
// peer must be of the same user), one packet a message.
//
//     successor    souk-handover/1                     connects when it has built up everything
//     predecessor  souk-handover/1, one name a line    with as many descriptors: public, internal,
//                                                      metrics, lock (the data folder's)
//     successor    ready                               accepts on the sockets
//     predecessor  leaving                             accepts no more; drains and ends
//                  or: late                            gave up waiting, and stays
//
// Until "ready" nothing has changed for the predecessor, whatever becomes of the successor. When
// the predecessor dies, the sockets with who waits in their queues, and the lock, live on in the
// successor.
#pragma once

#include "http/descriptor.hpp"
#include "souk/clock.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souk::host {

/// A descriptor and what it is for.
struct Heirloom {
    Heirloom(std::string name, http::Descriptor descriptor)
        : name(std::move(name)), descriptor(std::move(descriptor)) {}
    std::string name;  // a-z; several sockets of one listener have the same name
    http::Descriptor descriptor;
};
using Heritage = std::vector<Heirloom>;  // 64 at most

struct HandoverLimits {
    milliseconds step{10'000};  // a wait for the other side's next word
};

/// Where the server in `dir` offers its sockets. Errors: `invalid` "socket_path" as for the
/// control socket.
Result<std::filesystem::path> handover_socket(const std::filesystem::path& dir);

/// The predecessor's side: answers one successor after the other, until one is ready.
class HandoverOffer {
public:
    /// Takes the place of a predecessor's own socket at `path`. `gather` makes copies of what is
    /// handed on; `leave` is called when a successor is ready. Both run on `executor`. Errors:
    /// `unavailable` "handover" with the reason.
    static Result<std::unique_ptr<HandoverOffer>> open(
        Executor executor,
        std::filesystem::path path,
        std::function<Heritage()> gather,
        std::function<void()> leave,
        Clock& clock,
        HandoverLimits limits = HandoverLimits()
    );
    ~HandoverOffer();  // on the executor; ends the offer
    HandoverOffer(const HandoverOffer&) = delete;
    HandoverOffer& operator=(const HandoverOffer&) = delete;

private:
    struct State;
    explicit HandoverOffer(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

/// The successor's side.
class Takeover {
public:
    /// Null when nobody offers anything at `path`. Errors: `unavailable` "handover": the
    /// predecessor is another user's, speaks another version, or does not answer.
    static Task<Result<std::unique_ptr<Takeover>>> ask(
        Executor executor,
        std::filesystem::path path,
        Clock& clock,
        HandoverLimits limits = HandoverLimits()
    );
    ~Takeover();
    Takeover(const Takeover&) = delete;
    Takeover& operator=(const Takeover&) = delete;

    /// What was handed over under this name, once.
    std::vector<http::Descriptor> take(std::string_view name);
    /// What nobody took.
    std::vector<std::string> left() const;
    /// Tells the predecessor to leave. Success also when it is dead or silent: then this process
    /// serves alone, or beside it. Errors: `unavailable` "handover" when it gave up waiting.
    Task<Result<void>> ready();

private:
    struct State;
    explicit Takeover(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace souk::host
