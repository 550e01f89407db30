// A signed-in conversation with a shop over its public HTTP API, for long-running commands: many
// connections share one account, whose access token renews itself; a request is repeated while the
// shop is away or busy, which is safe because every write carries an Idempotency-Key.
#pragma once

#include "http/client.hpp"
#include "souk/clock.hpp"
#include "souk/http.hpp"

#include <filesystem>
#include <string>

namespace souk::cli {

struct Credentials {
    std::string email;
    std::string password;
    /// Reads {"email":...,"password":...} from a file. Errors: `invalid` "credentials" with words.
    static Result<Credentials> load(const std::filesystem::path& file);
};

/// Shared by the connections of one thread.
class Account {
public:
    Account(Executor executor, http::ClientTarget target, Credentials credentials, Clock& clock);

    /// A token that is not about to expire and is not `refused` (one that the shop answered 401
    /// to). Errors: `unauthenticated` when the credentials are wrong; what the connection answers.
    Task<Result<std::string>> token(std::string refused);

private:
    Task<Result<void>> renew();
    Task<Result<void>> sign_in(std::string path, std::string body);

    Executor executor_;
    http::Client client_;
    Credentials credentials_;
    Clock& clock_;
    std::string access_token_;
    std::string refresh_token_;
    SteadyTime renew_at_{};
    bool renewing_ = false;
};

struct ApiReply {
    ApiReply() = default;
    http::Response response;
    microseconds latency{0};  // of the try that was answered
    bool retried = false;
};

class ApiConnection {
public:
    ApiConnection(Executor executor, http::ClientTarget target, Account& account, Clock& clock);

    /// Sends until the shop gives a final answer (any status but 401, 408, 409 in flight, 429 and
    /// 5xx); gives up after `patience` without one. Errors: the last failure.
    Task<Result<ApiReply>> call(
        http::Method method, std::string target, std::string body, std::string idempotency_key
    );

    static constexpr seconds patience{60};
    static constexpr seconds request_timeout{20};

private:
    Task<Result<http::Response>> send_once(
        http::Method method, std::string target, std::string body, std::string key
    );
    http::Client client_;
    Account& account_;
    Clock& clock_;
    std::string refused_token_;
};

}  // namespace souk::cli
