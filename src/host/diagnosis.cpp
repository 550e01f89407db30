#include "host/diagnosis.hpp"

#include "database/sqlite/sqlite_database.hpp"
#include "host/control_peers.hpp"
#include "host/data_folder.hpp"
#include "host/diagnosis_peers.hpp"
#include "host/diagnosis_servers.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace souk::host {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t mebibyte = 1 << 20;
constexpr std::uintmax_t too_little = 100 * mebibyte;
constexpr std::uintmax_t little = 1024 * mebibyte;
constexpr seconds file_patience{60};  // a big file is read from end to end

/// The pid that holds the lock on `file`, from the kernel's list: to try the lock would be to take
/// it from a server that starts at this moment.
std::optional<std::string> holder_of(const fs::path& file) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return std::nullopt;
    const std::string inode = fmt::format(":{}", info.st_ino);
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        std::istringstream words(line);
        std::string number, kind, mode, access, pid, place;
        words >> number >> kind >> mode >> access >> pid >> place;
        if (kind == "FLOCK" && place.ends_with(inode)) return pid;
    }
    return std::nullopt;
}

fs::path existing_part(fs::path path) {
    std::error_code ignored;
    path = fs::absolute(path, ignored);
    while (!fs::exists(path, ignored) && path.has_parent_path() && path != path.parent_path())
        path = path.parent_path();
    return path;
}

Check check_folder(std::string name, const std::string& setting, const fs::path& folder) {
    const std::string mend = fmt::format("make it writable, or set {} to another folder", setting);
    const fs::path there = existing_part(folder);
    const std::string shown = folder.string();
    std::error_code error;
    if (!fs::is_directory(there, error))
        return Check(
            std::move(name), Verdict::fail, fmt::format("{} is not a folder", there.string()), mend
        );
    if (::access(there.c_str(), R_OK | W_OK | X_OK) != 0)
        return Check(
            std::move(name),
            Verdict::fail,
            fmt::format("{} may not be written by user {}", there.string(), ::geteuid()),
            mend
        );
    const fs::space_info space = fs::space(there, error);
    if (error) return Check(std::move(name), Verdict::fail, error.message(), mend);
    const std::string free = fmt::format("{} MiB free", space.available / mebibyte);
    if (space.available < little)
        return Check(
            std::move(name),
            space.available < too_little ? Verdict::fail : Verdict::warn,
            fmt::format("{}: only {}", shown, free),
            fmt::format("free some space, or set {} to a folder elsewhere", setting)
        );
    return Check(
        std::move(name),
        Verdict::ok,
        fmt::format("{}, {}{}", shown, fs::exists(folder, error) ? "" : "to be made, ", free)
    );
}

class Diagnosis {
public:
    Diagnosis(
        Config config,
        Plan plan,
        Executor executor,
        Clock& clock,
        Metrics& metrics,
        std::function<void(const Check&)> told
    )
        : config_(std::move(config))
        , plan_(std::move(plan))
        , executor_(executor)
        , clock_(clock)
        , metrics_(metrics)
        , told_(std::move(told)) {}

    Task<Checks> run() {
        check_data();
        if (config_.text("postgres.url").empty())
            co_await check_files();
        else
            co_await check_databases();
        if (!config_.text("redis.url").empty()) {
            Checks found = co_await check_redis(config_, executor_, clock_, metrics_);
            tell(std::move(found));
        }
        if (!config_.text("rabbitmq.url").empty()) {
            Checks found = co_await check_rabbitmq(config_, plan_.modules);
            tell(std::move(found));
        }
        Checks found = co_await check_peers(config_, plan_, executor_, clock_);
        tell(std::move(found));
        co_return std::move(checks_);
    }

private:
    void tell(Check check) {
        checks_.push_back(std::move(check));
        told_(checks_.back());
    }
    void tell(Checks checks) {
        for (Check& check : checks)
            tell(std::move(check));
    }

    void check_data() {
        const fs::path folder = config_.text("data.dir");
        tell(check_folder("data folder", "data.dir", folder));
        if (const std::string& shared = config_.text("data.shared"); !shared.empty())
            tell(check_folder("shared folder", "data.shared", shared));
        if (const auto socket = control_socket(folder); !socket)
            tell(Check("control socket", Verdict::fail, socket.error().detail));
        holder_ = holder_of(folder / "souk.lock");
        tell(Check(
            "data lock",
            Verdict::ok,
            holder_ ? fmt::format("process {} works in the data folder", *holder_)
                    : "nobody works in the data folder"
        ));
    }

    Task<void> check_databases() {
        Checks wrong = check_postgres_urls(config_, plan_.modules.size());
        if (!wrong.empty()) {
            tell(std::move(wrong));
            co_return;
        }
        for (const ModuleInfo* module : plan_.modules) {
            Checks found = co_await check_postgres(config_, *module, executor_, clock_, metrics_);
            tell(std::move(found));
        }
    }

    Task<void> check_files() {
        const fs::path folder = config_.text("data.dir");
        std::optional<Result<DataFolder>> lock;
        std::error_code ignored;
        if (!holder_ && fs::exists(folder / "souk.lock", ignored))
            lock.emplace(DataFolder::lock(folder));
        for (const ModuleInfo* module : plan_.modules) {
            const std::string name = fmt::format("database {}", module->name);
            const fs::path file = folder / module->name / fmt::format("{}.sqlite", module->name);
            if (!fs::exists(file, ignored)) {
                // An operator's commands ask the peers, and need no files.
                if (plan_.split || !has_peers(config_, plan_.modules))
                    tell(Check(name, Verdict::ok, fmt::format("{}, to be made", file.string())));
            } else if (!lock || !*lock)
                // SQLite's files want one process.
                tell(Check(name, Verdict::ok, fmt::format("{}, in use, left alone", file.string()))
                );
            else
                co_await check_file(*module, name, file);
        }
    }

    Task<void> check_file(const ModuleInfo& module, std::string name, fs::path file) {
        database::SqliteOptions options;
        options.file = file;
        auto opened = database::open_sqlite(std::move(options), clock_);
        if (!opened) {
            tell(Check(name, Verdict::fail, opened.error().detail));
            co_return;
        }
        const Deadline deadline(clock_, file_patience);
        auto damage = co_await database::sqlite_damage(**opened, deadline);
        if (!damage || !damage->empty()) {
            tell(Check(
                name,
                Verdict::fail,
                fmt::format(
                    "{} is damaged: {}", file.string(), damage ? *damage : damage.error().detail
                ),
                "restore the file from a backup"
            ));
            co_return;
        }
        tell(Check(name, Verdict::ok, file.string()));
        std::string schema = fmt::format("schema {}", module.name);
        auto state = co_await database::schema_state(**opened, module.migrations, deadline);
        tell(
            state ? judge_schema(std::move(schema), *state)
                  : Check(std::move(schema), Verdict::fail, state.error().detail)
        );
    }

    const Config config_;
    const Plan plan_;
    const Executor executor_;
    Clock& clock_;
    Metrics& metrics_;
    const std::function<void(const Check&)> told_;
    std::optional<std::string> holder_;  // of the data folder's lock
    Checks checks_;
};

}  // namespace

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return "ok";
        case Verdict::warn:
            return "warn";
        case Verdict::fail:
            return "fail";
    }
    return {};
}

Task<std::vector<Check>> diagnose(
    Config config,
    Plan plan,
    Executor executor,
    Clock& clock,
    Metrics& metrics,
    std::function<void(const Check&)> told
) {
    Diagnosis diagnosis(
        std::move(config), std::move(plan), executor, clock, metrics, std::move(told)
    );
    co_return co_await diagnosis.run();
}

}  // namespace souk::host
