// All of notification's SQL. Errors of all: the database's.
#pragma once

#include "domain/mail.hpp"
#include "souk/database.hpp"

#include <vector>

namespace souk::notification::store {

using domain::Mail;

/// Does nothing when the mail is there already.
Task<Result<void>> insert_mail(Transaction& tx, Mail mail, Timestamp now);
/// Leases up to `limit` mails that are due at `now` until `until`.
Task<Result<std::vector<Mail>>> claim_mails(
    Transaction& tx, Timestamp now, Timestamp until, std::size_t limit
);
Task<Result<void>> mark_sent(Transaction& tx, std::vector<std::string> ids);
Task<Result<void>> mark_undeliverable(Transaction& tx, std::string id, std::string reason);
/// Ends the lease at `at`, if it is still that of this try.
Task<Result<void>> reschedule_mail(
    Transaction& tx, std::string id, std::int64_t tries, Timestamp at
);
/// In order of id.
Task<Result<std::vector<Mail>>> list_mails(
    Database& database, std::string after_id, std::size_t limit, Deadline deadline
);

}  // namespace souk::notification::store
