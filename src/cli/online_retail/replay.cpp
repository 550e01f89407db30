#include "cli/online_retail/replay.hpp"

#include "cli/online_retail/import.hpp"
#include "cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace souk::cli {

namespace {

using IdMap = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t faults_shown = 20;
constexpr milliseconds settle_poll{50};
constexpr seconds settle_patience{120};  // without any order leaving `pending`

/// What the workers share; they all run on one thread.
struct Run {
    const RetailData& data;
    IdMap products;
    IdMap customers;
    std::size_t next = 0;
    std::int64_t answered = 0;
    std::size_t workers = 0;
    std::vector<std::int64_t> latencies_us;
    std::optional<Error> lost;  // the shop is out of reach
    ReplayReport report;
    Progress* progress = nullptr;
};

json::object order_json(const RetailSale& sale, const IdMap& products, const IdMap& customers) {
    json::object out;
    out["source"] = retail_source;
    out["external_ref"] = sale.invoice;
    const auto customer = customers.find(sale.customer);
    out["customer_id"] = customer == customers.end() ? "" : customer->second;
    out["placed_at"] = to_rfc3339(sale.placed_at);
    out["currency"] = "GBP";
    json::array items;
    items.reserve(sale.lines.size());
    for (const RetailLine& line : sale.lines) {
        json::object item;
        const auto product = products.find(line.code);
        item["product_id"] = product == products.end() ? "" : product->second;
        item["quantity"] = line.quantity;
        item["unit_amount_decimal"] = line.price.minor_decimal();
        items.push_back(std::move(item));
    }
    out["items"] = std::move(items);
    json::object payment;
    payment["token"] = "tok_approve";
    out["payment"] = std::move(payment);
    return out;
}

void add_fault(ReplayReport& report, std::string fault) {
    if (report.faults.size() < faults_shown) report.faults.push_back(std::move(fault));
}

void count(Run& run, const RetailSale& sale, const ApiReply& reply) {
    ++run.answered;
    run.progress->update(run.answered);
    const http::Response& response = reply.response;
    if (response.status != 200 && response.status != 201) {
        ++run.report.failed;
        add_fault(
            run.report,
            fmt::format(
                "invoice {}: the shop answered {}: {}", sale.invoice, response.status, response.body
            )
        );
        return;
    }
    ++run.report.placed;
    if (!response.headers.get("idempotency-replayed").empty()) ++run.report.duplicates;
    run.latencies_us.push_back(reply.latency.count());
}

Task<void> work(Run& run, ApiConnection shop) {
    while (!run.lost && run.next < run.data.sales.size()) {
        const RetailSale& sale = run.data.sales[run.next++];
        std::string body = json::serialize(order_json(sale, run.products, run.customers));
        std::string key = fmt::format("{}/{}", retail_source, sale.invoice);
        auto reply = co_await shop.call(
            http::Method::post, "/api/orders/import", std::move(body), std::move(key)
        );
        if (reply)
            count(run, sale, *reply);
        else
            run.lost = reply.error();
    }
    --run.workers;
}

struct Books {
    std::int64_t pending = 0;
    std::int64_t paid = 0;
    std::int64_t cancelled = 0;
    std::int64_t units = 0;
    std::int64_t value_minor = 0;
};

Task<Result<Books>> read_books(ApiConnection& shop) {
    std::string target = fmt::format("/api/orders/import/summary?source={}", retail_source);
    auto reply =
        co_await shop.call(http::Method::get, std::move(target), std::string(), std::string());
    if (!reply) co_return reply.error();
    Books books;
    auto read =
        json::decode(reply->response.body, json::Unknown::ignore, [&books](json::ObjectReader& in) {
            in.object_at("orders", [&books](json::ObjectReader& orders) {
                books.pending = orders.integer("pending");
                books.paid = orders.integer("paid");
                books.cancelled = orders.integer("cancelled");
            });
            books.units = in.integer("units");
            in.object_at("value", [&books](json::ObjectReader& value) {
                books.value_minor = value.integer("amount");
            });
        });
    if (!read)
        co_return Error(
            ErrorKind::internal,
            "bad_summary",
            fmt::format(
                "the shop answered {} to the summary: {}",
                reply->response.status,
                reply->response.body
            )
        );
    co_return books;
}

/// Waits until no order is pending, as long as something moves.
Task<Result<Books>> settle(ApiConnection& shop, Clock& clock, std::int64_t total) {
    Progress progress("paid", total);
    Deadline give_up(clock, settle_patience);
    std::int64_t last_pending = -1;
    for (;;) {
        auto books = co_await read_books(shop);
        if (!books) co_return books.error();
        progress.update(books->paid + books->cancelled);
        if (books->pending == 0 || give_up.passed(clock)) co_return *books;
        if (books->pending != last_pending) give_up = Deadline(clock, settle_patience);
        last_pending = books->pending;
        co_await clock.sleep(settle_poll);
    }
}

double percentile_ms(std::vector<std::int64_t>& sorted_us, double share) {
    if (sorted_us.empty()) return 0;
    const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted_us.size() - 1));
    return static_cast<double>(sorted_us[index]) / 1000;
}

std::string pounds(std::int64_t minor) {
    return to_text(Money(minor, Currency::gbp()));
}

void compare(ReplayReport& report, const Books& books, const RetailData& data) {
    const auto sales = static_cast<std::int64_t>(data.sales.size());
    if (books.pending != 0)
        add_fault(report, fmt::format("{} orders are still pending", books.pending));
    if (books.paid != sales)
        add_fault(
            report, fmt::format("orders paid: {} in the shop, {} in the file", books.paid, sales)
        );
    if (books.units != data.units)
        add_fault(
            report, fmt::format("units: {} in the shop, {} in the file", books.units, data.units)
        );
    if (books.value_minor != data.value_minor)
        add_fault(
            report,
            fmt::format(
                "value: {} in the shop, {} in the file",
                pounds(books.value_minor),
                pounds(data.value_minor)
            )
        );
}

double seconds_since(const Clock& clock, SteadyTime start) {
    return std::chrono::duration<double>(clock.steady() - start).count();
}

}  // namespace

Task<Result<ReplayReport>> replay_retail(
    Executor executor, Clock& clock, ReplayOptions options, const RetailData& data
) {
    Account account(executor, options.target, options.credentials, clock);
    ApiConnection shop(executor, options.target, account, clock);
    Run run{data, {}, {}, 0, 0, 0, {}, std::nullopt, {}, nullptr};
    auto products = co_await read_catalogue(shop);
    if (!products) co_return products.error();
    auto customers = co_await import_customers(shop, data);
    if (!customers) co_return customers.error();
    run.products = std::move(*products);
    run.customers = std::move(*customers);

    const auto total = static_cast<std::int64_t>(data.sales.size());
    const SteadyTime started = clock.steady();
    {
        Progress progress("orders", total);
        run.progress = &progress;
        run.workers = options.connections;
        const std::function<Task<void>()> worker = [&] {
            return work(run, ApiConnection(executor, options.target, account, clock));
        };
        for (std::size_t i = 0; i < options.connections; ++i)
            spawn(executor, worker);
        while (run.workers > 0)
            co_await clock.sleep(settle_poll);
    }
    if (run.lost) co_return *run.lost;
    ReplayReport& report = run.report;
    report.seconds_to_place = seconds_since(clock, started);
    auto books = co_await settle(shop, clock, total);
    if (!books) co_return books.error();
    report.seconds_to_paid = seconds_since(clock, started);
    report.paid = books->paid;
    report.cancelled = books->cancelled;
    report.units = books->units;
    report.value_minor = books->value_minor;
    report.orders_per_s = static_cast<double>(total) / std::max(report.seconds_to_paid, 1e-9);
    std::sort(run.latencies_us.begin(), run.latencies_us.end());
    report.p50_ms = percentile_ms(run.latencies_us, 0.50);
    report.p99_ms = percentile_ms(run.latencies_us, 0.99);
    compare(report, *books, data);
    co_return std::move(report);
}

json::object to_json(const ReplayReport& report, const RetailData& data) {
    json::object orders;
    orders["placed"] = report.placed;
    orders["paid"] = report.paid;
    orders["cancelled"] = report.cancelled;
    orders["failed"] = report.failed;
    orders["duplicates"] = report.duplicates;
    json::object value;
    value["amount"] = report.value_minor;
    value["currency"] = "GBP";
    json::object latency;
    latency["p50"] = report.p50_ms;
    latency["p99"] = report.p99_ms;
    json::object skipped;
    for (const auto& [reason, rows] : data.skipped)
        skipped[reason] = rows;
    json::array faults;
    for (const std::string& fault : report.faults)
        faults.push_back(json::value(fault));
    json::object out;
    out["orders"] = std::move(orders);
    out["units"] = report.units;
    out["value"] = std::move(value);
    out["orders_per_s"] = report.orders_per_s;
    out["seconds"] = report.seconds_to_paid;
    out["latency_ms"] = std::move(latency);
    out["skipped"] = std::move(skipped);
    out["agrees"] = report.agrees();
    out["faults"] = std::move(faults);
    return out;
}

std::string to_text(const ReplayReport& report, const RetailData& data) {
    std::string out = fmt::format(
        "orders     {} placed, {} paid, {} cancelled, {} refused, {} duplicates\n"
        "units      {}\n"
        "value      {}\n"
        "speed      {:.0f} orders/s until paid ({:.1f} s; placed after {:.1f} s)\n"
        "latency    p50 {:.1f} ms, p99 {:.1f} ms\n",
        report.placed,
        report.paid,
        report.cancelled,
        report.failed,
        report.duplicates,
        report.units,
        pounds(report.value_minor),
        report.orders_per_s,
        report.seconds_to_paid,
        report.seconds_to_place,
        report.p50_ms,
        report.p99_ms
    );
    out += fmt::format("skipped    of {} rows", data.rows);
    for (const auto& [reason, rows] : data.skipped)
        out += fmt::format(", {} {}", rows, reason);
    out += '\n';
    for (const std::string& fault : report.faults)
        out += "FAULT      " + fault + '\n';
    if (report.agrees()) out += "the shop's books agree with the file's\n";
    return out;
}

}  // namespace souk::cli
