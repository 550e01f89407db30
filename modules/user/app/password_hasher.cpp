#include "app/password_hasher.hpp"

#include "security/passwords.hpp"

#include <algorithm>
#include <thread>

namespace souk::user::app {

namespace {

std::size_t thread_count(const Settings& settings) {
    const auto configured = static_cast<std::size_t>(settings.integer("hash_threads"));
    if (configured > 0) return configured;
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

std::size_t queue_limit(const Settings& settings) {
    return thread_count(settings) * static_cast<std::size_t>(settings.integer("hash_queue"));
}

}  // namespace

PasswordHasher::PasswordHasher(const Settings& settings)
    : pool_("souk-hash", thread_count(settings), queue_limit(settings)) {}

Task<Result<std::string>> PasswordHasher::hash(std::string password) {
    // The job owns what it uses: this coroutine may be cancelled while it runs.
    auto result = std::make_shared<Result<std::string>>(Error());
    std::function<void()> job = [result, password = std::move(password)] {
        *result = security::hash_password(password);
    };
    auto ran = co_await pool_.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return std::move(*result);
}

Task<Result<bool>> PasswordHasher::verify(std::optional<std::string> hash, std::string password) {
    auto matches = std::make_shared<bool>(false);
    const bool known = hash.has_value();
    std::string against(security::dummy_hash());
    if (known) against = std::move(*hash);
    std::function<void()> job =
        [matches, against = std::move(against), password = std::move(password)] {
            *matches = security::verify_password(against, password);
        };
    auto ran = co_await pool_.run(std::move(job));
    if (!ran) co_return ran.error();
    co_return known&&* matches;
}

}  // namespace souk::user::app
