// The connections of a lane to an endpoint, and the one that a call has for itself: for lane*.cpp
// only.
#pragma once

#include "http/shared_connection.hpp"
#include "peers/lane.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace souk::peers {

struct Lane::Link {
    Link(const Executor& executor, std::size_t answer_bytes) : connection(executor, answer_bytes) {}
    http::ClientConnection connection;
    SteadyTime idle_since{};
};

struct Lane::SharedLink {
    explicit SharedLink(std::shared_ptr<http::SharedConnection> connection)
        : connection(std::move(connection)) {}
    std::shared_ptr<http::SharedConnection> connection;
    SteadyTime used_at{};
};

/// An endpoint and this thread's connections to it.
struct Lane::Slot {
    explicit Slot(std::shared_ptr<Endpoint> endpoint) : endpoint(std::move(endpoint)) {}
    std::shared_ptr<Endpoint> endpoint;
    std::vector<std::unique_ptr<Link>> idle;  // the last used last
    std::size_t open = 0;                     // idle or at work
    bool gone = false;                        // no longer in DNS

    // Connections with several calls on each, beside those, where the endpoint understands it.
    std::vector<SharedLink> shared;
    bool shares = false;   // its last answer said so
    bool opening = false;  // one more
    SteadyTime open_again_at{};

    SharedLink* with_room();
};

/// A connection at work; goes back to its slot, however the coroutine ends.
class Lane::Lease {
public:
    Lease(std::shared_ptr<Lane> lane, SlotPtr slot)
        : lane_(std::move(lane)), slot_(std::move(slot)) {
        ++slot_->endpoint->in_flight;
        while (!slot_->idle.empty() && !link_) {
            link_ = std::move(slot_->idle.back());
            slot_->idle.pop_back();
            if (link_->connection.usable() && link_->connection.is_current()) continue;
            link_.reset();
            --slot_->open;
        }
        kept_ = link_ != nullptr;
        if (kept_) return;
        link_ = std::make_unique<Link>(lane_->executor_, lane_->options_.answer_bytes);
        ++slot_->open;
    }
    Lease(Lease&& other) noexcept
        : lane_(std::move(other.lane_))
        , slot_(std::move(other.slot_))
        , link_(std::move(other.link_))
        , kept_(other.kept_)
        , done_(other.done_) {}
    ~Lease() {
        if (!slot_) return;  // moved from
        --slot_->endpoint->in_flight;
        const bool keep = done_ && !slot_->gone && !lane_->stopped_ && link_->connection.is_open();
        if (keep) {
            link_->idle_since = lane_->clock_.steady();
            slot_->idle.push_back(std::move(link_));
        } else {
            --slot_->open;
        }
        lane_->wake_one();
    }

    http::ClientConnection& connection() { return link_->connection; }
    Endpoint& endpoint() { return *slot_->endpoint; }
    Lane& lane() { return *lane_; }
    bool was_kept() const { return kept_; }
    /// An exchange ended in order: the connection may serve again.
    void set_done() { done_ = true; }

private:
    std::shared_ptr<Lane> lane_;
    SlotPtr slot_;
    std::unique_ptr<Link> link_;
    bool kept_ = false;
    bool done_ = false;
};

}  // namespace souk::peers
