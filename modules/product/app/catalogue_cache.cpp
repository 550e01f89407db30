#include "app/catalogue_cache.hpp"

#include "souk/id.hpp"

#include <string_view>

namespace souk::product::app {

namespace {

constexpr milliseconds kept{1000};
// When it is forgotten the first generation is used again, whose answers are long gone by then.
constexpr milliseconds generation_kept = std::chrono::minutes(10);
constexpr const char* generation_key = "product:generation";

/// That there was no change is kept, too: else every reader would ask the cache's server again.
Task<Result<std::string>> first_generation() {
    co_return std::string("first");
}

}  // namespace

Task<Result<std::string>> CatalogueCache::answer(
    std::string question, Deadline deadline, ReadThrough::Load render
) {
    ReadThrough::Load first = &first_generation;
    auto generation =
        co_await reader_.read(generation_key, generation_kept, deadline, std::move(first));
    if (!generation) co_return generation.error();
    std::string key = "product:";
    key.reserve(key.size() + generation->size() + 1 + question.size());
    key.append(*generation).append(":").append(question);
    co_return co_await reader_.read(std::move(key), kept, deadline, std::move(render));
}

Task<void> CatalogueCache::changed() {
    return cache_.put(generation_key, make_id("gen", clock_.now()), generation_kept);
}

}  // namespace souk::product::app
