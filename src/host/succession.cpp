#include "host/succession.hpp"

namespace souk::host {
namespace {

constexpr std::string_view lock_name = "lock";
constexpr seconds lock_patience{30};  // a server that stops takes half of that
constexpr milliseconds look_again{50};

}  // namespace

Result<DataFolder> Succession::folder(const Config& config, bool takeover) {
    if (takeover && config.text("postgres.url").empty())
        return invalid(
            "takeover",
            "--takeover: the databases in the data folder belong to one process at a time: stop "
            "the server and start it again, or let the shop stand on servers (DATABASE_URL, "
            "RABBITMQ_URL)"
        );
    auto locked = DataFolder::lock(config.text("data.dir"));
    if (locked || !takeover || locked.error().code != "data_locked") return locked;
    return DataFolder::join(config.text("data.dir"));
}

Task<Result<void>> Succession::listen(Listeners listeners, DataFolder& folder) {
    if (!folder.locked()) {
        auto path = handover_socket(folder.path());
        if (!path) co_return path.error();
        auto asked = co_await Takeover::ask(executor_, std::move(*path), clock_);
        if (!asked) co_return asked.error();
        takeover_ = std::move(*asked);
        if (!takeover_) {
            auto owned = co_await wait_for_lock(folder);
            if (!owned) co_return owned;
        }
    }
    for (const auto& [name, server] : listeners) {
        auto opened = open(name, *server);
        if (!opened) co_return opened;
    }
    co_return Result<void>();
}

Result<void> Succession::open(const std::string& name, http::Server& server) {
    std::vector<http::Descriptor> sockets;
    if (takeover_) sockets = takeover_->take(name);
    if (sockets.empty()) return server.listen();
    auto adopted = server.adopt(std::move(sockets));
    // Whatever address this process was configured with.
    if (adopted) log_.info("took a listener over", {{"listener", name}, {"port", server.port()}});
    return adopted;
}

Task<Result<void>> Succession::wait_for_lock(DataFolder& folder) {
    log_.info("the server before offers no sockets: waiting for its end");
    const Deadline deadline(clock_, lock_patience);
    for (;;) {
        auto owned = folder.own();
        if (owned || owned.error().code != "data_locked" || deadline.passed(clock_))
            co_return owned;
        co_await clock_.sleep(look_again);
    }
}

Task<Result<void>> Succession::tell_ready(DataFolder& folder) {
    if (!takeover_) co_return Result<void>();
    auto lock = takeover_->take(lock_name);
    for (const std::string& name : takeover_->left())
        log_.warn("what was handed over has no listener here, and closes", {{"listener", name}});
    auto told = co_await takeover_->ready();
    if (!told) co_return told;
    takeover_.reset();
    if (lock.empty()) co_return co_await wait_for_lock(folder);
    co_return folder.own(std::move(lock.front()));
}

Result<void> Succession::offer(
    const Listeners& listeners, const DataFolder& folder, std::function<void()> leave
) {
    auto path = handover_socket(folder.path());
    if (!path) return path.error();
    auto gather = [listeners, &folder] {
        Heritage out;
        for (const auto& [name, server] : listeners)
            for (http::Descriptor& socket : server->descriptors())
                out.emplace_back(name, std::move(socket));
        out.emplace_back(std::string(lock_name), folder.lock_copy());
        return out;
    };
    auto gone = [this, listeners, leave = std::move(leave)] {
        succeeded_ = true;
        for (const auto& [name, server] : listeners)
            server->hand_on();
        leave();
    };
    auto opened = HandoverOffer::open(
        executor_, std::move(*path), std::move(gather), std::move(gone), clock_
    );
    if (!opened) return opened.error();
    offer_ = std::move(*opened);
    return Result<void>();
}

}  // namespace souk::host
