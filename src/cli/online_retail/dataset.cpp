#include "cli/online_retail/dataset.hpp"

#include "cli/online_retail/csv.hpp"

#include <date/tz.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <sstream>
#include <unordered_map>

namespace souk::cli {

namespace {

constexpr std::array<std::string_view, 8> columns = {
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country"};
enum Column : std::size_t { invoice, code, description, quantity, time, price, customer, country };

constexpr int max_pound_decimals = 8;  // UnitPrice holds 6 decimals of a penny

Error fault(
    const std::filesystem::path& file,
    std::size_t row,
    Column column,
    std::string_view reason,
    std::string_view text
) {
    return invalid(
        "malformed_row",
        fmt::format(
            "{}: row {}, column {}: {}: '{}'", file.string(), row, columns[column], reason, text
        )
    );
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool is_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

/// A sale under construction: its time stays text until the earliest one is known.
struct Draft {
    RetailSale sale;
    std::string local_time;
    std::size_t row = 0;
};

struct Collector {
    const std::filesystem::path& file;
    RetailData data;
    std::vector<Draft> drafts;
    std::unordered_map<std::string, std::size_t> by_invoice;

    Result<void> add(const std::vector<std::string>& row, std::size_t number);
    void add_product(const std::vector<std::string>& row, const std::optional<UnitPrice>& unit);
    Result<void> add_line(
        const std::vector<std::string>& row, std::size_t number, std::int64_t units, UnitPrice unit
    );
    Result<RetailData> finish();
};

Result<void> Collector::add(const std::vector<std::string>& row, std::size_t number) {
    if (row.size() != columns.size())
        return invalid(
            "malformed_row",
            fmt::format(
                "{}: row {}: {} columns instead of {}",
                file.string(),
                number,
                row.size(),
                columns.size()
            )
        );
    if (row[invoice].empty()) return fault(file, number, invoice, "empty", "");
    if (row[code].empty()) return fault(file, number, code, "empty", "");
    const auto units = parse_integer(row[quantity]);
    if (!units) return fault(file, number, quantity, "not an integer", row[quantity]);
    const auto unit = parse_pounds(row[price]);
    if (!unit && !is_number(row[price]))
        return fault(file, number, price, "not a number", row[price]);

    ++data.rows;
    add_product(row, unit);
    if (!row[customer].empty()) data.customers[row[customer]] = row[country];
    const bool positive = unit && unit->micros() > 0;
    const auto reason = skip_reason(row[invoice], *units, positive, row[customer]);
    if (reason.empty()) return add_line(row, number, *units, *unit);
    ++data.skipped[std::string(reason)];
    return Result<void>();
}

void Collector::add_product(
    const std::vector<std::string>& row, const std::optional<UnitPrice>& unit
) {
    RetailProduct& product = data.products[row[code]];
    if (!row[description].empty()) product.name = row[description];
    if (unit && unit->micros() > 0) product.price = unit;
}

Result<void> Collector::add_line(
    const std::vector<std::string>& row, std::size_t number, std::int64_t units, UnitPrice unit
) {
    const auto total = unit.times(units);
    if (!total) return fault(file, number, price, total.error().detail, row[price]);
    const auto [known, is_new] = by_invoice.try_emplace(row[invoice], drafts.size());
    if (is_new) {
        drafts.emplace_back();
        drafts.back().sale.invoice = row[invoice];
        drafts.back().sale.customer = row[customer];
        drafts.back().local_time = row[time];
        drafts.back().row = number;
    }
    Draft& draft = drafts[known->second];
    if (draft.sale.customer != row[customer])
        return fault(file, number, customer, "an invoice with two customers", row[customer]);
    if (row[time] < draft.local_time) {  // ISO order is time order
        draft.local_time = row[time];
        draft.row = number;
    }
    draft.sale.lines.emplace_back(row[code], units, unit);
    data.products[row[code]].sold += units;
    ++data.lines;
    data.units += units;
    data.value_minor += *total;
    return Result<void>();
}

Result<RetailData> Collector::finish() {
    data.sales.reserve(drafts.size());
    for (Draft& draft : drafts) {
        const auto placed_at = parse_london(draft.local_time);
        if (!placed_at)
            return fault(file, draft.row, time, placed_at.error().detail, draft.local_time);
        draft.sale.placed_at = *placed_at;
        data.sales.push_back(std::move(draft.sale));
    }
    return std::move(data);
}

}  // namespace

std::string_view skip_reason(
    std::string_view invoice,
    std::int64_t quantity,
    bool price_is_positive,
    std::string_view customer
) {
    if (invoice.starts_with('C')) return "cancellation";
    if (invoice.starts_with('A')) return "adjustment";
    if (quantity <= 0) return "quantity";
    if (!price_is_positive) return "price";
    if (customer.empty()) return "customer";
    return {};
}

std::optional<UnitPrice> parse_pounds(std::string_view text) {
    const auto dot = text.find('.');
    const auto whole = text.substr(0, dot);
    const auto decimals = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    if (whole.empty() || decimals.size() > max_pound_decimals) return std::nullopt;
    std::string digits(whole);
    digits.append(decimals);
    digits.append(max_pound_decimals - decimals.size(), '0');
    const auto micros = parse_integer(digits);
    if (!micros || *micros < 0 || text.front() == '-') return std::nullopt;
    return UnitPrice::from_micros(*micros);
}

Result<Timestamp> parse_london(std::string_view text) {
    static const date::time_zone* const london = date::locate_zone("Europe/London");
    std::istringstream in{std::string(text)};
    date::local_seconds local;
    in >> date::parse("%F %T", local);
    if (in.fail() || in.peek() != std::istringstream::traits_type::eof())
        return invalid("bad_time", "not a time like 2010-12-01 08:26:00");
    // `earliest` also answers for an hour that summer time skips.
    return Timestamp(london->to_sys(local, date::choose::earliest));
}

Result<RetailData> read_online_retail(const std::filesystem::path& file) {
    auto reader = CsvReader::open(file);
    if (!reader) return reader.error();
    std::vector<std::string> row;
    auto more = reader->next(row);
    if (!more) return invalid(more.error().code, file.string() + ": " + more.error().detail);
    if (!*more || !std::equal(row.begin(), row.end(), columns.begin(), columns.end()))
        return invalid(
            "malformed_row",
            fmt::format("{}: row 1: the header is not {}", file.string(), fmt::join(columns, ","))
        );
    Collector collector{file, {}, {}, {}};
    for (;;) {
        more = reader->next(row);
        if (!more) return invalid(more.error().code, file.string() + ": " + more.error().detail);
        if (!*more) return collector.finish();
        if (auto added = collector.add(row, reader->row()); !added) return added.error();
    }
}

}  // namespace souk::cli
