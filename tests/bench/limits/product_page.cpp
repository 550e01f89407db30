#include "bench/limits/product_page.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace souk::bench {

namespace json = boost::json;

namespace {

enum Column {
    id,
    sku,
    name,
    description,
    category,
    currency,
    price_micros,
    version,
    created_at,
    available
};

std::string_view text(const PGresult* rows, int row, Column column) {
    return {
        PQgetvalue(rows, row, column), static_cast<std::size_t>(PQgetlength(rows, row, column))};
}

std::int64_t integer(const PGresult* rows, int row, Column column) {
    const std::string_view digits = text(rows, row, column);
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

std::string rfc3339(std::int64_t micros) {
    const std::chrono::sys_time<std::chrono::microseconds> at{std::chrono::microseconds(micros)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::milliseconds>(at - day));
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        time.hours().count(),
        time.minutes().count(),
        time.seconds().count(),
        time.subseconds().count()
    );
}

// Millionths of a minor unit. Finer prices than a minor unit would need one field more; the
// catalogue that is measured has none.
json::object price(const PGresult* rows, int row) {
    json::object price;
    price["amount"] = (integer(rows, row, price_micros) + 500'000) / 1'000'000;
    price["currency"] = text(rows, row, currency);
    return price;
}

json::object product(const PGresult* rows, int row) {
    json::object out;
    out["id"] = text(rows, row, id);
    out["sku"] = text(rows, row, sku);
    out["name"] = text(rows, row, name);
    out["description"] = text(rows, row, description);
    out["price"] = price(rows, row);
    out["stock"] = integer(rows, row, available);
    out["category"] = text(rows, row, category);
    out["created_at"] = rfc3339(integer(rows, row, created_at));
    return out;
}

std::string cursor_behind(const PGresult* rows, int row) {
    json::array position;
    position.emplace_back(text(rows, row, created_at));
    position.emplace_back(text(rows, row, id));
    const std::string plain = json::serialize(position);
    constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string cursor(sodium_base64_encoded_len(plain.size(), variant), '\0');
    const auto* bytes = reinterpret_cast<const unsigned char*>(plain.data());
    sodium_bin2base64(cursor.data(), cursor.size(), bytes, plain.size(), variant);
    cursor.pop_back();  // the NUL
    return cursor;
}

}  // namespace

std::string render_page(const PGresult* rows, std::size_t limit) {
    const int shown = std::min(PQntuples(rows), static_cast<int>(limit));
    json::array data;
    for (int row = 0; row < shown; ++row)
        data.push_back(product(rows, row));
    json::object page;
    page["data"] = std::move(data);
    const bool more = PQntuples(rows) > shown;
    page["has_more"] = more;
    page["next_cursor"] = nullptr;
    if (more) page["next_cursor"] = cursor_behind(rows, shown - 1);
    return json::serialize(page);
}

}  // namespace souk::bench
