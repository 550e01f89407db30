// bench_sqlite_commits: durable commits of one row a second, one at a time: WAL, synchronous=FULL,
// SQLite's own checkpoints. What a program gets that waits for each COMMIT, as the obvious one
// does.
#include "bench/load/arguments.hpp"
#include "bench/load/histogram.hpp"
#include "bench/load/report.hpp"
#include "bench/load/schedule.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

using namespace souk::bench;

namespace {

constexpr const char* usage = R"(usage: bench_sqlite_commits --dir DIR --seconds S [--rate R]
Inserts one row a COMMIT into a database of its own in DIR for S seconds and removes it; with --rate
one when it is due, and its latency counts from then. Prints {"commits","seconds","rate"} and the
latencies as bench_load does, p99_us and quantiles_us.
)";

using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;
using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

void require(bool good, sqlite3* database) {
    if (!good) throw std::runtime_error(sqlite3_errmsg(database));
}

/// A folder that is removed with what is in it.
class Folder {
public:
    explicit Folder(const std::string& parent)
        : path_(std::filesystem::path(parent) / fmt::format("bench_sqlite_commits.{}", getpid())) {
        std::filesystem::create_directories(path_);
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file() const { return path_ / "commits.db"; }

private:
    std::filesystem::path path_;
};

Database open(const std::string& file) {
    sqlite3* raw = nullptr;
    const int result = sqlite3_open(file.c_str(), &raw);
    Database database(raw, sqlite3_close);
    require(result == SQLITE_OK, raw);
    const char* setup =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL);";
    require(sqlite3_exec(raw, setup, nullptr, nullptr, nullptr) == SQLITE_OK, raw);
    return database;
}

Statement prepare(sqlite3* database, const char* sql) {
    sqlite3_stmt* raw = nullptr;
    require(sqlite3_prepare_v2(database, sql, -1, &raw, nullptr) == SQLITE_OK, database);
    return {raw, sqlite3_finalize};
}

int run(const Arguments& arguments) {
    const double seconds = arguments.number("--seconds", 0);
    if (seconds <= 0) throw UsageError("--seconds is more than 0");
    const Folder folder(arguments.text("--dir"));
    const Database database = open(folder.file());
    const Statement insert = prepare(database.get(), "INSERT INTO rows (body) VALUES (?1)");
    const std::string body(100, 'x');
    sqlite3_bind_text(insert.get(), 1, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);

    const double rate = arguments.number("--rate", 0);
    const Nanoseconds start = now_ns();
    const Schedule schedule(rate > 0 ? rate : 1, start, 0, 1);
    const Nanoseconds end = start + static_cast<Nanoseconds>(seconds * 1e9);
    Histogram latencies;
    Nanoseconds now = start;
    while (now < end) {  // no BEGIN: each commits
        const Nanoseconds due = rate > 0 ? schedule.due(latencies.count()) : now;
        if (due > now) std::this_thread::sleep_for(std::chrono::nanoseconds(due - now));
        require(sqlite3_step(insert.get()) == SQLITE_DONE, database.get());
        sqlite3_reset(insert.get());
        now = now_ns();
        latencies.record(now - due);
    }
    const double took = static_cast<double>(now - start) / 1e9;
    fmt::print(
        R"({{"commits":{},"seconds":{:.6f},"rate":{:.1f},"p99_us":{:.1f},"quantiles_us":[{}]}})"
        "\n",
        latencies.count(),
        took,
        static_cast<double>(latencies.count()) / took,
        static_cast<double>(latencies.at(0.99)) / 1e3,
        quantiles_json(latencies)
    );
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("bench_sqlite_commits", usage, argc, argv, [&] {
        return run(Arguments(argc, argv, {"--dir", "--seconds", "--rate"}));
    });
}
