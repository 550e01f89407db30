// The tables `sessions`, `refresh_tokens` and `revocations`. Errors of every function: the
// database's.
#pragma once

#include "souk/database.hpp"
#include "souk/user/api.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souk::user::store {

/// The newest refresh token of a session.
struct RefreshToken {
    RefreshToken(std::string hash, std::string session, Timestamp expires_at)
        : hash(std::move(hash)), session(std::move(session)), expires_at(expires_at) {}
    std::string hash;
    std::string session;
    Timestamp expires_at;
};

/// Opens `token.session` for `user`, and forgets that user's sessions that have expired.
Task<Result<void>> insert_session(
    Transaction& tx, std::string user, RefreshToken token, Timestamp now
);

/// Marks an unused, unexpired token as used, once; its session, or nothing.
Task<Result<std::optional<std::string>>> use_refresh_token(
    Transaction& tx, std::string hash, Timestamp now
);
/// The session of a token that was used before; nothing for an unknown or merely expired one.
Task<Result<std::optional<std::string>>> session_of_used_token(Transaction& tx, std::string hash);
/// Adds the next token to its session and forgets expired ones; nothing when the session is
/// revoked.
Task<Result<std::optional<User>>> rotate(Transaction& tx, RefreshToken next, Timestamp now);

/// Revokes a session and writes the log, once however often it is called.
Task<Result<void>> revoke_session(Transaction& tx, std::string session, Timestamp now);
/// All of a user's: lock the user's row before, against sessions that are being opened.
Task<Result<void>> revoke_sessions_of(Transaction& tx, std::string user, Timestamp now);

/// At most 1,000, in order of position.
Task<Result<std::vector<Revocation>>> revocations_after(
    Database& database, std::int64_t position, Deadline deadline
);
/// How many sessions were ever revoked: the last position.
Task<Result<std::int64_t>> count_revocations(Database& database, Deadline deadline);

}  // namespace souk::user::store
