// A bounded memory by text: two generations; when the younger is full, the older is forgotten as a
// whole, which costs nobody a search for the oldest. Without a lock: one a thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace souk::base {

template <class Value>
class Generations {
public:
    /// Of `size` values each.
    explicit Generations(std::size_t size) : size_(size) {}

    /// Null when it was never put, or is forgotten.
    const Value* find(std::string_view key) const {
        for (const Values* values : {&young_, &old_})
            if (const auto found = values->find(key); found != values->end()) return &found->second;
        return nullptr;
    }
    const Value& put(std::string_view key, Value value) {
        if (young_.size() >= size_) {
            old_ = std::move(young_);
            young_.clear();
        }
        return young_.insert_or_assign(std::string(key), std::move(value)).first->second;
    }
    void clear() {
        young_.clear();
        old_.clear();
    }

private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    using Values = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
    std::size_t size_;
    Values young_;
    Values old_;
};

}  // namespace souk::base
