// One thread's part of the way to a peer: its own connections to each endpoint, the calls that wait
// for one, the choice of the endpoint. Threads share nothing but the endpoints' atomic counts. All
// members run on the lane's executor.
#pragma once

#include "http/client_connection.hpp"
#include "peers/endpoint.hpp"
#include "peers/expiries.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

namespace souk::peers {

struct LaneOptions {
    std::size_t connections = 64;  // to one endpoint
    std::size_t waiters = 256;
    std::size_t answer_bytes = std::size_t{8} << 20;
    milliseconds connect_timeout{1'500};  // a rush's first handshakes share the cores with its work
    milliseconds idle_timeout{30'000};    // less than the server's own
    milliseconds part_timeout{30'000};    // of a body that streams: for its next 64 KiB, either way
    // An answer sent on that is no longer is read whole before anybody hears of it: it may be asked
    // for again, and who reads it slowly keeps no connection from others.
    std::uint64_t whole_bytes = std::uint64_t{1} << 20;
    std::uint64_t streamed_bytes = std::uint64_t{256} << 20;  // of an answer that streams
};

/// A request but for its Host and Souk-Deadline-Ms.
struct Outgoing {
    /// A call of an Api.
    Outgoing(std::string target, std::string body)
        : target(std::move(target)), body(std::move(body)) {
        headers.add("Content-Type", "application/json");
    }
    /// Somebody else's request. Its answer comes as soon as its head is there.
    Outgoing(http::Method method, std::string target, http::Headers headers)
        : method(method)
        , target(std::move(target))
        , headers(std::move(headers))
        , forwarded(true)
        , repeatable(false) {}

    http::Method method = http::Method::post;
    std::string target;
    http::Headers headers;
    std::string body;
    std::shared_ptr<http::BodyStream> stream;  // instead of `body`; can be sent once only
    bool forwarded = false;
    bool repeatable = true;  // also when it may have executed

    /// Whether it may be one of several on a connection: lost with it, it is asked again.
    bool may_share() const {
        return forwarded && repeatable && method == http::Method::get && !stream && body.empty();
    }
};

/// What became of one try.
struct Attempt {
    enum class End {
        answered,
        failed,   // it may have executed
        late,     // no answer in time; it may have executed
        refused,  // too many calls wait already: nothing was sent
        no_body,  // what was to be sent could not be read: body_fault
    };
    Attempt(End end, std::string why) : end(end), why(std::move(why)) {}
    explicit Attempt(http::Response response) : end(End::answered), response(std::move(response)) {}
    End end;
    http::Response response;
    std::string why;
    bool is_late() const { return end == End::late; }

    std::shared_ptr<Endpoint> endpoint;  // null when none was chosen
    std::optional<Error> body_fault;
    bool sent = true;  // something of it
    bool blames_peer = false;
};

class Lane : public std::enable_shared_from_this<Lane> {
public:
    /// `tls` may be null when no address asks for it. `on_failure` may be called from here.
    Lane(
        Executor executor,
        LaneOptions options,
        Clock& clock,
        std::shared_ptr<http::Tls> tls,
        std::function<void()> on_failure
    );
    ~Lane();

    const Executor& executor() const { return executor_; }
    void set_endpoints(const Endpoints& endpoints);
    /// One try, or two when a kept connection turns out to have been closed before it answered and
    /// the request may be repeated. The time of a request whose body streams starts with the end of
    /// the body; until then, LaneOptions::part_timeout holds. `avoid` is chosen only
    /// when there is nobody else.
    Task<Attempt> attempt(
        std::shared_ptr<const Outgoing> call, SteadyTime until, std::shared_ptr<Endpoint> avoid
    );
    /// What the caller makes of an attempt that blames its endpoint, or of an answer that is no
    /// peer's.
    void report_failure(Endpoint& endpoint);
    microseconds random_up_to(microseconds most);
    /// Closes all connections, also those at work, and refuses what comes.
    Task<void> stop();

private:
    struct Link;
    struct Slot;
    class Lease;
    class Waiter;
    class Upload;
    class Download;
    struct SharedLink;
    using SlotPtr = std::shared_ptr<Slot>;

    struct Claim {
        explicit Claim(SlotPtr slot) : slot(std::move(slot)), end(Attempt::End::answered) {}
        Claim(Attempt::End end, std::string why) : end(end), why(std::move(why)) {}
        SlotPtr slot;  // null: why not
        Attempt::End end;
        std::string why;
    };
    Task<Attempt> lease(
        std::shared_ptr<const Outgoing> call, SteadyTime until, std::shared_ptr<Endpoint> avoid
    );
    SlotPtr shared_slot(const Outgoing& call, const Endpoint* avoid);
    Task<std::optional<Attempt>> share(
        SlotPtr slot, std::shared_ptr<const Outgoing> call, SteadyTime until
    );
    Task<void> open_shared(std::shared_ptr<Lane> self, SlotPtr slot);
    bool is_hurried(SteadyTime until) const;
    Claim claim_at_once(const Endpoint* avoid);
    Task<Claim> claim(SteadyTime until, std::shared_ptr<Endpoint> avoid);
    Task<Attempt> use(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until);
    Task<std::optional<Attempt>> connect(Lease& lease, SteadyTime until);
    Task<Attempt> converse(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until);
    Task<Attempt> exchange(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until);
    Task<Attempt> relay(Lease& lease, std::shared_ptr<const Outgoing> call, SteadyTime until);
    Task<Result<http::Response>> receive(Lease& lease, http::Response head, bool head_only);
    std::optional<Claim> refusal() const;
    SlotPtr choose(const Endpoint* avoid);
    bool has_room(const Slot& slot) const;
    void wake_one();
    void wake_all();
    bool drop_idle();

    Executor executor_;
    const LaneOptions options_;
    Clock& clock_;
    std::shared_ptr<http::Tls> tls_;
    std::function<void()> on_failure_;
    std::vector<SlotPtr> slots_;
    std::deque<Waiter*> waiters_;
    std::shared_ptr<Expiries> expiries_;
    std::minstd_rand random_;
    bool known_ = false;  // set_endpoints() was called
    bool stopped_ = false;
};

}  // namespace souk::peers
