// The statements that one connection has prepared.
#pragma once

#include "database/postgres/values.hpp"

#include <string>
#include <unordered_map>
#include <vector>

namespace souk::database::postgres {

struct Plan {
    std::string name;  // the server's: the statement's own, "#n" after it for further ones
    std::string sql;
    std::vector<Oid> types;
    std::size_t parameters = 0;
};

class Plans {
public:
    /// One that fits the types of the arguments; NULL fits all. Null when there is none. Throws
    /// `std::logic_error` when the name stands for another text.
    const Plan* find(
        const Statement& statement, const std::vector<Oid>& types, const Params& params
    );
    /// False for one without a name, or when there are too many: send it unprepared.
    bool takes(const Statement& statement) const;
    const Plan& add(const Statement& statement, std::vector<Oid> types, std::size_t parameters);
    /// By the server's name.
    void forget(const std::string& name);

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    struct Entry {
        std::vector<Plan> plans;
        std::size_t made = 0;  // names are never used again, the server may still know them
    };
    std::unordered_map<std::string, Entry, Hash, std::equal_to<>> by_statement_;
};

/// The text for PostgreSQL.
inline std::string_view sql_of(const Statement& statement) {
    return statement.postgres.empty() ? statement.sql : statement.postgres;
}

}  // namespace souk::database::postgres
