// Answers about the catalogue as they were rendered for customers, kept for about a second, so that
// many who look at the same page cost the database one look. What staff change shows at once: each
// change starts a new generation of keys. What orders take or give back shows when the second is
// over. Nothing is decided by it: orders read the database.
#pragma once

#include "souk/cache.hpp"

#include <string>

namespace souk::product::app {

class CatalogueCache {
public:
    CatalogueCache(Cache& cache, Clock& clock)
        : cache_(cache), clock_(clock), reader_(cache, clock) {}

    /// The answer to `question` ("item:prd_..."), from `render` when it is not kept. Errors: those
    /// of `render`, `timeout`.
    Task<Result<std::string>> answer(
        std::string question, Deadline deadline, ReadThrough::Load render
    );
    /// After a commit of staff's.
    Task<void> changed();

private:
    Cache& cache_;
    Clock& clock_;
    ReadThrough reader_;
};

}  // namespace souk::product::app
