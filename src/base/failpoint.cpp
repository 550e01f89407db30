#include "souk/failpoint.hpp"

#ifdef SOUK_FAILPOINTS

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace souk::failpoint {
namespace {

enum class Action : std::uint8_t { crash, error, sleep };

struct Armed {
    Action action = Action::error;
    std::int64_t sleep_ms = 0;
    std::int64_t from_pass = 1;
    std::int64_t passes = 0;
};

std::int64_t parse_count(std::string_view text) {
    std::int64_t value = 0;
    auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || rest != text.data() + text.size())
        throw std::invalid_argument("failpoint: not a number: " + std::string(text));
    return value;
}

Armed parse_action(std::string_view text) {
    Armed armed;
    if (auto at = text.find('@'); at != std::string_view::npos) {
        armed.from_pass = parse_count(text.substr(at + 1));
        text = text.substr(0, at);
    }
    if (text == "crash") {
        armed.action = Action::crash;
    } else if (text == "error") {
        armed.action = Action::error;
    } else if (text.starts_with("sleep:")) {
        armed.action = Action::sleep;
        armed.sleep_ms = parse_count(text.substr(6));
    } else {
        throw std::invalid_argument("failpoint: unknown action " + std::string(text));
    }
    return armed;
}

class Table {
public:
    Table() {
        const char* list = std::getenv("SOUK_FAILPOINTS");
        std::string_view rest = list == nullptr ? "" : list;
        while (!rest.empty()) {
            auto entry = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
            auto equals = entry.find('=');
            if (equals == std::string_view::npos)
                throw std::invalid_argument("SOUK_FAILPOINTS: no '=' in " + std::string(entry));
            arm(entry.substr(0, equals), entry.substr(equals + 1));
        }
    }

    void arm(std::string_view name, std::string_view action) {
        std::lock_guard lock(mutex_);
        if (action == "off") {
            points_.erase(std::string(name));
        } else {
            points_.insert_or_assign(std::string(name), parse_action(action));
        }
        any_ = !points_.empty();
    }

    bool hit(std::string_view name) {
        if (!any_) return false;
        std::int64_t sleep_ms = 0;
        {
            std::lock_guard lock(mutex_);
            auto it = points_.find(name);
            if (it == points_.end()) return false;
            Armed& armed = it->second;
            if (++armed.passes < armed.from_pass) return false;
            if (armed.action == Action::error) return true;
            if (armed.action == Action::crash) std::raise(SIGKILL);
            sleep_ms = armed.sleep_ms;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(sleep_ms));
        return false;
    }

private:
    std::mutex mutex_;
    std::map<std::string, Armed, std::less<>> points_;
    std::atomic<bool> any_ = false;
};

Table& table() {
    static Table instance;
    return instance;
}

}  // namespace

bool hit(std::string_view name) {
    return table().hit(name);
}

void arm(std::string_view name, std::string_view action) {
    table().arm(name, action);
}

}  // namespace souk::failpoint

#endif
