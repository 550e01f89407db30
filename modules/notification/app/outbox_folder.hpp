// Hands mails over by writing them to a folder, one .eml file each: what a mail transfer agent or a
// developer picks up. Durable when it returns: temporary files, one syncfs for the batch, renames,
// one fsync of the folder. A mail that is handed over again replaces its own file.
#pragma once

#include "souk/async.hpp"
#include "souk/blocking.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace souk::notification::app {

struct OutgoingMail {
    OutgoingMail(std::string id, std::string message)
        : id(std::move(id)), message(std::move(message)) {}
    std::string id;
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
