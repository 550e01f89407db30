#include "souk/database.hpp"

#include <algorithm>

namespace souk {

std::vector<Migration> migrations_from(std::span<const embedded::File> files) {
    constexpr std::string_view folder = "migrations/";
    constexpr std::string_view ending = ".sql";
    std::vector<Migration> migrations;
    for (const embedded::File& file : files) {
        if (!file.path.starts_with(folder) || !file.path.ends_with(ending)) continue;
        std::string_view name = file.path.substr(folder.size());
        name.remove_suffix(ending.size());
        migrations.push_back(Migration{name, file.content});
    }
    auto by_name = [](const Migration& a, const Migration& b) { return a.name < b.name; };
    std::sort(migrations.begin(), migrations.end(), by_name);
    return migrations;
}

}  // namespace souk
