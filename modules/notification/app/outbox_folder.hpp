// Hands mails over by writing them to a folder, one .eml file each: what a mail transfer agent or a
// developer picks up. Durable when it returns: temporary files, one syncfs for the batch, renames,
// one fsync of the folder. A mail that is handed over again replaces its own file. Replicas may
// share the folder: each try writes a temporary file of its own, so that no name ever shows a mail
// that somebody is still writing.
#pragma once

#include "souk/async.hpp"
#include "souk/blocking.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace souk::notification::app {

struct OutgoingMail {
    OutgoingMail(std::string id, std::int64_t attempt, std::string message)
        : id(std::move(id)), attempt(attempt), message(std::move(message)) {}
    std::string id;
    std::int64_t attempt;  // no two writers of one mail have the same
    std::string message;
};

class OutboxFolder {
public:
    OutboxFolder(BlockingPool& pool, std::filesystem::path folder)
        : pool_(pool), folder_(std::move(folder)) {}

    /// All or, on an error, an unknown part of them: hand all over again. Errors: `unavailable`
    /// "mail_outbox".
    Task<Result<void>> deliver(std::vector<OutgoingMail> mails);

private:
    BlockingPool& pool_;
    std::filesystem::path folder_;
};

}  // namespace souk::notification::app
