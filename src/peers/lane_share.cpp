// What a lane does with connections that many calls share (http/shared_connection.hpp): which call
// may, when one more is opened, and what becomes of a call whose connection ends.
#include "http/exchanges.hpp"
#include "peers/lane_lease.hpp"
#include "peers/wire.hpp"

#include <algorithm>
#include <utility>

namespace souk::peers {
namespace {

// More are opened when those that are there are full.
constexpr std::size_t most_links = 4;
constexpr seconds pause_after_fault{1};

/// A call's place in the count by which endpoints are chosen.
class InFlight {
public:
    explicit InFlight(Endpoint& endpoint) : endpoint_(endpoint) { ++endpoint_.in_flight; }
    ~InFlight() { --endpoint_.in_flight; }
    InFlight(const InFlight&) = delete;

private:
    Endpoint& endpoint_;
};

std::string deadline_line(microseconds left) {
    const auto left_ms = std::chrono::floor<milliseconds>(std::max(left, microseconds(0)));
    std::string line(field::deadline);
    line.append(": ").append(std::to_string(left_ms.count())).append("\r\n");
    return line;
}

}  // namespace

/// The first that takes a call: so most of what is asked at a time leaves together. Who takes none
/// for another reason than being full is let go.
Lane::SharedLink* Lane::Slot::with_room() {
    for (std::size_t i = 0; i < shared.size(); ++i) {
        if (shared[i].connection->takes_more()) return &shared[i];
        if (shared[i].connection->is_full()) continue;
        shared[i].connection->retire();
        shared.erase(shared.begin() + static_cast<std::ptrdiff_t>(i--));
    }
    return nullptr;
}

/// Where `call` may share a connection; null: it goes alone.
Lane::SlotPtr Lane::shared_slot(const Outgoing& call, const Endpoint* avoid) {
    if (!call.may_share() || !waiters_.empty() || refusal()) return nullptr;
    SlotPtr slot = choose(avoid);
    if (!slot || !slot->shares || slot->with_room() != nullptr) {
        if (slot && slot->shares) return slot;
        return nullptr;
    }
    const bool may_open = !slot->opening && slot->shared.size() < most_links &&
                          clock_.steady() >= slot->open_again_at;
    if (may_open) {
        slot->opening = true;
        spawn(executor_, [self = shared_from_this(), slot] {
            return self->open_shared(self, slot);
        });
    }
    return nullptr;
}

Task<void> Lane::open_shared([[maybe_unused]] std::shared_ptr<Lane> self, SlotPtr slot) {
    const Endpoint& endpoint = *slot->endpoint;
    auto connection = std::make_shared<http::SharedConnection>(executor_);
    bool connected = false;
    {
        const SteadyTime last = clock_.steady() + options_.connect_timeout;
        Expiries::Entry limit(*expiries_, last, [&connection] { connection->close(); });
        auto tls = endpoint.address.tls ? tls_ : nullptr;
        auto done =
            co_await connection->connect(endpoint.at, std::move(tls), endpoint.address.host);
        connected = done.has_value();
    }
    slot->opening = false;
    if (!connected) slot->open_again_at = clock_.steady() + pause_after_fault;
    if (!connected || slot->gone || stopped_) {
        connection->close();
        co_return;
    }
    slot->shared.emplace_back(std::move(connection));
    slot->shared.back().used_at = clock_.steady();
}

/// Nothing: it had better be asked alone, for the answer is long, the connection has ended, or who
/// answers there does not share (an older version).
Task<std::optional<Attempt>> Lane::share(
    SlotPtr slot, std::shared_ptr<const Outgoing> call, SteadyTime until
) {
    SharedLink* link = slot->with_room();
    const SteadyTime now = clock_.steady();
    link->used_at = now;
    auto connection = link->connection;
    const bool hurried = is_hurried(until);
    const InFlight counted(*slot->endpoint);
    http::SharedConnection::Asked asked(
        connection, call->target, slot->endpoint->host, call->headers, deadline_line(until - now)
    );
    Expiries::Entry limit(*expiries_, until, [&asked] { asked.give_up(); });
    co_await asked.wait();
    std::optional<Attempt> made;
    if (!asked.answer) {
        // A peer that says nothing at all may be gone; one that answers others is slow with this.
        if (asked.met_silence()) connection->retire();
        made.emplace(Attempt::End::late, "no answer came in time");
    } else if (!*asked.answer) {
        const Error& why = asked.answer->error();
        slot->shares = why.code == "ended";
        if (why.code != "broken") co_return made;
        made.emplace(Attempt::End::failed, why.detail);
    } else {
        http::Response& answer = **asked.answer;
        if (answer.headers.has(http::alone_field)) co_return made;
        made.emplace(std::move(answer));
    }
    made->blames_peer = made->end == Attempt::End::failed || (made->is_late() && !hurried);
    made->endpoint = slot->endpoint;
    co_return made;
}

}  // namespace souk::peers
