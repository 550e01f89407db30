// Values on their way to the server and back, in the protocol's text format.
#pragma once

#include "souk/database.hpp"

#include <array>
#include <vector>

struct pg_result;

namespace souk::database::postgres {

using Oid = unsigned int;

/// Parameters as libpq wants them. Borrows the texts of `params`.
class Arguments {
public:
    explicit Arguments(const Params& params);

    int count() const { return static_cast<int>(values_.size()); }
    const char* const* values() const { return values_.data(); }
    /// int8 for integers: from `$1 = 0` the server would guess 32 bits. The rest is left to it.
    const std::vector<Oid>& types() const { return types_; }
    /// False when a text holds a NUL, which C strings would cut, or is not UTF-8: PostgreSQL has
    /// neither, and its refusal would abort what neighbours have in the pipeline.
    bool all_texts() const { return all_texts_; }

private:
    std::vector<const char*> values_;
    std::vector<Oid> types_;
    std::vector<std::array<char, 24>> digits_;
    bool all_texts_ = true;
};

/// Errors: `internal` "sql_type" for a floating point column.
Result<Rows> rows_of(pg_result* result, std::string_view statement);

}  // namespace souk::database::postgres
