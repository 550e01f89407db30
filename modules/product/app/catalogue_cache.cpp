#include "app/catalogue_cache.hpp"

#include "souk/id.hpp"

#include <fmt/format.h>

#include <string_view>

namespace souk::product::app {

namespace {

constexpr milliseconds kept{1000};
// When it is forgotten the first generation is used again, whose answers are long gone by then.
constexpr milliseconds generation_kept = std::chrono::minutes(10);
constexpr std::string_view generation_key = "product:generation";

}  // namespace

Task<Result<std::string>> CatalogueCache::answer(
    std::string question, Deadline deadline, ReadThrough::Load render
) {
    auto generation = co_await cache_.get(generation_key);
    std::string key = fmt::format("product:{}:{}", generation.value_or("first"), question);
    co_return co_await reader_.read(std::move(key), kept, deadline, std::move(render));
}

Task<void> CatalogueCache::changed() {
    return cache_.put(generation_key, make_id("gen", clock_.now()), generation_kept);
}

}  // namespace souk::product::app
