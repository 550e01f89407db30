// order.paid or order.cancelled arrives: the customer shall get a mail.
#pragma once

#include "souk/events.hpp"

#include <string>

namespace souk::notification::app {

/// Writes the intent in the inbox's transaction. Errors: `invalid` for an event that can't be read;
/// the database's.
Task<Result<void>> intend_mail(
    Transaction& tx, const Clock& clock, std::string mail_template, Event event
);

}  // namespace souk::notification::app
