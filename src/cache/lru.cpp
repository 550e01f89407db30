#include "cache/lru.hpp"

namespace souk::cache {
namespace {

// What a value costs beside its bytes: a list node, a hash node, two allocations' headers.
constexpr std::size_t entry_overhead = 160;

}  // namespace

const Lru::Entry* Lru::find(std::string_view key, SteadyTime now) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    if (found->second->expires <= now) {
        remove(found->second);
        return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return &*found->second;
}

void Lru::put(std::string_view key, std::string value, SteadyTime expires, std::uint64_t lease) {
    erase(key);
    const std::size_t size = key.size() + value.size() + entry_overhead;
    if (size > max_bytes_) return;
    while (bytes_ + size > max_bytes_)
        remove(std::prev(entries_.end()));
    entries_.push_front(Entry{std::string(key), std::move(value), expires, lease, size});
    by_key_.emplace(entries_.front().key, entries_.begin());
    bytes_ += size;
}

void Lru::erase(std::string_view key) {
    if (auto found = by_key_.find(key); found != by_key_.end()) remove(found->second);
}

void Lru::clear() {
    by_key_.clear();
    entries_.clear();
    bytes_ = 0;
}

void Lru::remove(Entries::iterator entry) {
    bytes_ -= entry->size;
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

}  // namespace souk::cache
