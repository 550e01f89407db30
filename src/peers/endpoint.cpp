#include "peers/endpoint.hpp"

#include <algorithm>

namespace souk::peers {
namespace {

constexpr int failures_to_eject = 3;
constexpr milliseconds first_ejection{1'000};
constexpr int longest_ejection = 5;  // doublings: 32 s

}  // namespace

void Endpoint::succeeded() {
    // Looked at first: a store at every answer would take the line from the other threads.
    if (failures_.load(std::memory_order_relaxed) == 0) return;
    failures_ = 0;
    if (ejections_ > 0) --ejections_;
}

bool Endpoint::failed() {
    return ++failures_ >= failures_to_eject;
}

void Endpoint::eject(SteadyTime now) {
    const int before = std::min(ejections_++, longest_ejection);
    ejected_until_ = now + first_ejection * (1 << before);
}

}  // namespace souk::peers
