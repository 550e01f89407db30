#include "database/script.hpp"

namespace souk::database {
namespace {

std::string_view trimmed(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    auto begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return line.substr(begin, line.find_last_not_of(blanks) - begin + 1);
}

}  // namespace

Result<std::string> part_for(std::string_view sql, Dialect dialect) {
    constexpr std::string_view only = "-- only:";
    std::string_view own = dialect == Dialect::sqlite ? "sqlite" : "postgres";
    std::string out;
    bool kept = true;
    while (!sql.empty()) {
        std::string_view line = sql.substr(0, sql.find('\n'));
        sql.remove_prefix(std::min(line.size() + 1, sql.size()));
        std::string_view mark = trimmed(line);
        if (mark == "-- both") {
            kept = true;
        } else if (mark.starts_with(only)) {
            std::string_view name = trimmed(mark.substr(only.size()));
            if (name != "sqlite" && name != "postgres")
                return invalid("migration_malformed", "unknown dialect: " + std::string(mark));
            kept = name == own;
        } else if (kept) {
            out += line;
        }
        out += '\n';
    }
    return out;
}

}  // namespace souk::database
