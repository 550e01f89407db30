#include "souk/peers.hpp"

#include <algorithm>
#include <stdexcept>

namespace souk {

void* Peers::resolve(std::string_view module) const {
    // Also when it is loaded here: what works whole must work split.
    if (std::find(calls_.begin(), calls_.end(), module) == calls_.end())
        throw std::logic_error(
            "module " + self_ + " does not list " + std::string(module) + " in its calls"
        );
    void* api = table_->find(module);
    if (api == nullptr)
        throw std::logic_error(
            "module " + self_ + " calls " + std::string(module) + ", which cannot be reached"
        );
    return api;
}

}  // namespace souk
