// Divides keys, and what they may take up, among parts with a lock each, so that I/O threads seldom
// meet. A small cache has few parts: a part must hold the largest value.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <string_view>

namespace souk::cache {

template <class Shard>
class Shards {
public:
    Shards(std::size_t capacity, std::size_t smallest_shard) {
        std::size_t count = std::clamp<std::size_t>(capacity / smallest_shard, 1, max_shards);
        for (std::size_t i = 0; i < count; ++i)
            shards_.emplace_back(capacity / count);
    }

    Shard& of(std::string_view key) {
        return shards_[std::hash<std::string_view>{}(key) % shards_.size()];
    }

    template <class Action>
    void each(Action action) {
        for (Shard& shard : shards_)
            action(shard);
    }

private:
    static constexpr std::size_t max_shards = 16;
    std::deque<Shard> shards_;  // never moves them: they hold a lock
};

}  // namespace souk::cache
