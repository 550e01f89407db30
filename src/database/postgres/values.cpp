#include "database/postgres/values.hpp"

#include "base/utf8.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <charconv>

namespace souk::database::postgres {
namespace {

constexpr Oid bool_type = 16;
constexpr Oid bytea_type = 17;
constexpr Oid int8_type = 20;
constexpr Oid int2_type = 21;
constexpr Oid int4_type = 23;
constexpr Oid float4_type = 700;
constexpr Oid float8_type = 701;
constexpr Oid numeric_type = 1700;

bool is_text(std::string_view text) {
    const auto special = [](char c) { return static_cast<signed char>(c) <= 0; };
    for (;;) {
        const auto plain = std::find_if(text.begin(), text.end(), special) - text.begin();
        text.remove_prefix(static_cast<std::size_t>(plain));
        if (text.empty()) return true;
        const auto step = base::next_code_point(text);
        if (!step.valid || step.code_point == 0) return false;
        text.remove_prefix(step.size);
    }
}

/// A numeric that is whole (what sum() of integers gives) is an integer, too.
bool add_integer(Rows& rows, std::string_view text) {
    std::int64_t value = 0;
    auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || rest != text.data() + text.size()) return false;
    rows.add_integer(value);
    return true;
}

void add_bytes(Rows& rows, const char* text) {
    std::size_t size = 0;
    auto* bytes = PQunescapeBytea(reinterpret_cast<const unsigned char*>(text), &size);
    if (bytes == nullptr) throw std::bad_alloc();
    rows.add_text(std::string_view(reinterpret_cast<const char*>(bytes), size));
    PQfreemem(bytes);
}

void add_cell(Rows& rows, pg_result* result, int row, int column) {
    if (PQgetisnull(result, row, column)) return rows.add_null();
    const char* data = PQgetvalue(result, row, column);
    std::string_view text(data, static_cast<std::size_t>(PQgetlength(result, row, column)));
    switch (PQftype(result, column)) {
        case bool_type:
            return rows.add_integer(text == "t" ? 1 : 0);
        case bytea_type:
            return add_bytes(rows, data);
        case int2_type:
        case int4_type:
        case int8_type:
        case numeric_type:
            if (add_integer(rows, text)) return;
            [[fallthrough]];
        default:
            return rows.add_text(text);
    }
}

/// Rows written; "SELECT 3" counts none.
std::int64_t affected(pg_result* result) {
    if (std::string_view(PQcmdStatus(result)).starts_with("SELECT")) return 0;
    std::string_view text = PQcmdTuples(result);
    std::int64_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count;
}

}  // namespace

Arguments::Arguments(const Params& params) {
    values_.reserve(params.size());
    types_.reserve(params.size());
    digits_.reserve(params.size());  // what values_ points into must not move
    for (const Value& value : params) {
        const auto* integer = std::get_if<std::int64_t>(&value);
        types_.push_back(integer != nullptr ? int8_type : 0);
        if (integer != nullptr) {
            auto& digits = digits_.emplace_back();
            *std::to_chars(digits.data(), digits.data() + digits.size() - 1, *integer).ptr = '\0';
            values_.push_back(digits.data());
        } else if (const auto* text = std::get_if<std::string>(&value)) {
            all_texts_ = all_texts_ && is_text(*text);
            values_.push_back(text->c_str());
        } else {
            values_.push_back(nullptr);
        }
    }
}

Result<Rows> rows_of(pg_result* result, std::string_view statement) {
    Rows rows;
    const int columns = PQnfields(result);
    const int count = PQntuples(result);
    for (int column = 0; column < columns; ++column) {
        Oid type = PQftype(result, column);
        if (type != float4_type && type != float8_type) continue;
        std::string words =
            fmt::format("{}: column {} is a floating point number", statement, column);
        return Error(ErrorKind::internal, "sql_type", std::move(words));
    }
    rows.start(static_cast<std::size_t>(columns));
    for (int row = 0; row < count; ++row)
        for (int column = 0; column < columns; ++column)
            add_cell(rows, result, row, column);
    rows.set_affected(affected(result));
    return rows;
}

}  // namespace souk::database::postgres
