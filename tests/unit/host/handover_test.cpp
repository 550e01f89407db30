// Both sides of a hand-over in one process, and sides that misbehave.
#include "host/handover.hpp"

#include "base/system_clock.hpp"
#include "host/data_folder.hpp"
#include "support/result_text.hpp"
#include "support/run_task.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <future>
#include <optional>
#include <thread>

using namespace souk;
using namespace souk::host;
using http::Descriptor;
namespace fs = std::filesystem;

namespace {

constexpr milliseconds short_while{20};

HandoverLimits impatient() {
    HandoverLimits out;
    out.step = short_while;
    return out;
}

Clock& clock_() {
    return base::system_clock();
}

Descriptor a_file() {
    std::FILE* file = std::tmpfile();
    Descriptor out(::dup(::fileno(file)));
    std::fclose(file);
    return out;
}

/// A server with two public sockets and one for metrics.
struct Predecessor {
    Predecessor() {
        sockets.emplace_back("public", a_file());
        sockets.emplace_back("public", a_file());
        sockets.emplace_back("metrics", a_file());
    }
    Heritage gather() const {
        Heritage out;
        for (const Heirloom& each : sockets)
            out.emplace_back(each.name, each.descriptor.copy());
        return out;
    }
    void offer(asio::io_context& context, HandoverLimits limits = HandoverLimits()) {
        auto opened = HandoverOffer::open(
            context.get_executor(),
            path,
            [this] { return gather(); },
            [this] { ++left; },
            clock_(),
            limits
        );
        REQUIRE(opened);
        open = std::move(*opened);
    }

    test::TempFolder folder;
    fs::path path = folder.path() / "handover.sock";
    Heritage sockets;
    int left = 0;
    std::unique_ptr<HandoverOffer> open;
};

/// Ends an offer with the coroutine that it is for, also when a check fails there: else the context
/// would wait for a successor for ever.
struct Ending {
    explicit Ending(Predecessor& predecessor) : predecessor(predecessor) {}
    ~Ending() { predecessor.open.reset(); }
    Predecessor& predecessor;
};

using Taken = Result<std::unique_ptr<Takeover>>;

/// The conversation as a raw peer: each packet sent as it is, each answer returned ("" at the end).
class RawPeer {
public:
    explicit RawPeer(int fd) : fd_(fd) { limit(); }
    explicit RawPeer(const fs::path& path) : fd_(::socket(AF_UNIX, SOCK_SEQPACKET, 0)) {
        limit();
        sockaddr_un to = address(path);
        REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    }
    static sockaddr_un address(const fs::path& path) {
        sockaddr_un out{};
        out.sun_family = AF_UNIX;
        std::strncpy(out.sun_path, path.c_str(), sizeof out.sun_path - 1);
        return out;
    }
    void send(std::string_view text) { ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
    std::string receive() {
        char text[4'096];
        const auto size = ::recv(fd_.get(), text, sizeof text, 0);
        return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    }

private:
    void limit() {
        timeval ten{10, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
    }
    Descriptor fd_;
};

/// A predecessor that answers any packet with `answer`, or with silence.
Taken ask_somebody_who_says(const std::optional<std::string>& answer) {
    const test::TempFolder folder;
    const fs::path path = folder.path() / "handover.sock";
    Descriptor listening(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
    sockaddr_un at = RawPeer::address(path);
    REQUIRE(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    std::promise<void> over;
    std::thread peer;
    if (answer) {
        peer = std::thread([&] {
            RawPeer asking(::accept(listening.get(), nullptr, nullptr));
            asking.receive();
            asking.send(*answer);
            over.get_future().wait();  // hangs up no earlier
        });
    }
    asio::io_context context;
    auto asked =
        test::run_task(context, Takeover::ask(context.get_executor(), path, clock_(), impatient()));
    over.set_value();
    if (peer.joinable()) peer.join();
    return asked;
}

}  // namespace

TEST_CASE("a successor gets the sockets, and the predecessor leaves when it is ready") {
    asio::io_context context;
    Predecessor old;
    old.offer(context);
    CHECK(fs::status(old.path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    const auto work = [&]() -> Task<void> {
        const Ending ending(old);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        REQUIRE(*asked);
        Takeover& takeover = **asked;
        const auto sockets = takeover.take("public");
        REQUIRE(sockets.size() == 2);
        for (std::size_t i = 0; i < 2; ++i)
            CHECK(http::file_id(sockets[i]) == http::file_id(old.sockets[i].descriptor));
        CHECK(takeover.take("public").empty());
        CHECK(takeover.take("internal").empty());
        CHECK(takeover.left() == std::vector<std::string>{"metrics"});
        CHECK(old.left == 0);
        const auto done = co_await takeover.ready();
        CHECK(done);
    };
    test::run_task(context, work());
    CHECK(old.left == 1);
    CHECK_FALSE(fs::exists(old.path));
}

TEST_CASE("a successor that dies before it is ready changes nothing") {
    asio::io_context context;
    Predecessor old;
    old.offer(context);
    const auto work = [&]() -> Task<void> {
        const Ending ending(old);
        for (int i = 0; i < 3; ++i) {
            auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
            REQUIRE(asked);
            CHECK(*asked);
        }
        CHECK(old.left == 0);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        const auto done = co_await (*asked)->ready();
        CHECK(done);
        CHECK(old.left == 1);
    };
    test::run_task(context, work());
}

TEST_CASE("a successor goes on when the predecessor dies in between") {
    asio::io_context context;
    Predecessor old;
    old.offer(context);
    const auto work = [&]() -> Task<void> {
        const Ending ending(old);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        old.open.reset();
        const auto done = co_await (*asked)->ready();
        CHECK(done);
        CHECK((*asked)->take("public").size() == 2);
    };
    test::run_task(context, work());
    CHECK(old.left == 0);
}

TEST_CASE("a predecessor that gave up waiting stays, and the successor learns it") {
    asio::io_context context;
    Predecessor old;
    old.offer(context, impatient());
    const auto work = [&]() -> Task<void> {
        const Ending ending(old);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        co_await clock_().sleep(short_while * 3);
        const auto done = co_await (*asked)->ready();
        REQUIRE_FALSE(done);
        CHECK_THAT(done.error().detail, Catch::Contains("gave up waiting"));
        CHECK(old.left == 0);
    };
    test::run_task(context, work());
}

TEST_CASE("without a predecessor nothing is handed over") {
    asio::io_context context;
    const test::TempFolder folder;
    const fs::path path = folder.path() / "handover.sock";
    SECTION("none ever") {}
    SECTION("one that was killed") {
        Descriptor dead(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
        sockaddr_un at = RawPeer::address(path);
        REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    }
    auto asked =
        test::run_task(context, Takeover::ask(context.get_executor(), path, clock_(), impatient()));
    REQUIRE(asked);
    CHECK_FALSE(*asked);
}

TEST_CASE("a predecessor is not moved by what is no successor") {
    asio::io_context context;
    Predecessor old;
    old.offer(context, impatient());
    const std::string hello = GENERATE(
        std::string(), "GET / HTTP/1.1", "souk-handover/2", "ready", std::string(4'000, 'x')
    );
    INFO(hello);
    RawPeer peer(old.path);
    peer.send(hello);
    peer.send("not ready");
    context.run_for(short_while * 5);
    CHECK(old.left == 0);
    const std::string answer = peer.receive();
    CHECK((answer.empty() || answer == "souk-handover/1"));
    // And the next one, who is, is served.
    const auto work = [&]() -> Task<void> {
        const Ending ending(old);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        REQUIRE(*asked);
        CHECK((*asked)->take("public").size() == 2);
    };
    test::run_task(context, work());
}

TEST_CASE("a successor that says anything but ready does not move the predecessor") {
    asio::io_context context;
    Predecessor old;
    old.offer(context, impatient());
    RawPeer peer(old.path);
    peer.send("souk-handover/1");
    peer.send("not ready");
    context.run_for(short_while * 5);
    CHECK(peer.receive() == "souk-handover/1\npublic\npublic\nmetrics");
    CHECK(peer.receive() == "late");
    CHECK(old.left == 0);
    old.open.reset();
    context.run();
}

TEST_CASE("a successor refuses what is no hand-over") {
    const std::string many(4'000, 'x');
    for (const std::string answer :
         {"souk-handover/2", "HTTP/1.1 400", "", "souk-handover/1\npublic", many.c_str()}) {
        INFO(answer);
        const auto asked = ask_somebody_who_says(answer);
        REQUIRE_FALSE(asked);
        CHECK(asked.error().code == "handover");
    }
    const auto silent = ask_somebody_who_says(std::nullopt);
    REQUIRE_FALSE(silent);
    CHECK(silent.error().code == "handover");
}

TEST_CASE("a process of another user gets nothing") {
    if (::geteuid() != 0) return;  // only root can become somebody else
    asio::io_context context;
    Predecessor old;
    old.offer(context);
    // As if the modes of folder and socket were no protection.
    fs::permissions(old.path, fs::perms::all);
    fs::permissions(old.folder.path(), fs::perms::all);
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setuid(65'534) != 0) ::_exit(2);
        const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
        sockaddr_un to = RawPeer::address(old.path);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) ::_exit(3);
        ::send(fd, "souk-handover/1", 15, MSG_NOSIGNAL);
        (void)!::write(pipe[1], "x", 1);
        char answer[64];
        ::_exit(::recv(fd, answer, sizeof answer, 0) > 0 ? 4 : 0);
    }
    char connected = 0;
    REQUIRE(::read(pipe[0], &connected, 1) == 1);
    context.run_for(short_while * 5);
    int status = 0;
    old.open.reset();
    context.run();
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("the successor's own offer takes the old one's place and outlives it") {
    asio::io_context context;
    Predecessor old;
    Predecessor heir;
    heir.path = old.path;
    heir.sockets.pop_back();
    old.offer(context);
    heir.offer(context);
    old.open.reset();
    REQUIRE(fs::exists(old.path));
    const auto work = [&]() -> Task<void> {
        const Ending ending(heir);
        auto asked = co_await Takeover::ask(context.get_executor(), old.path, clock_());
        REQUIRE(asked);
        REQUIRE(*asked);
        CHECK((*asked)->left().size() == 2);
    };
    test::run_task(context, work());
    CHECK_FALSE(fs::exists(old.path));
}

TEST_CASE("the folder's lock is handed over without a moment in which nobody has it") {
    const test::TempFolder folder;
    const fs::path shop = folder.path() / "shop";
    std::optional<DataFolder> old(std::move(*DataFolder::lock(shop)));
    auto heir = DataFolder::join(shop);
    REQUIRE(heir);
    CHECK_FALSE(heir->locked());
    CHECK_FALSE(heir->own());  // the predecessor has it
    REQUIRE(heir->own(old->lock_copy()));
    CHECK(heir->locked());
    old.reset();
    const auto third = DataFolder::lock(shop);
    REQUIRE_FALSE(third);
    CHECK(third.error().code == "data_locked");

    auto other = DataFolder::join(shop);
    REQUIRE(other);
    CHECK_FALSE(other->own(a_file()));
}

TEST_CASE("a predecessor withdraws nothing of its successor's") {
    const test::TempFolder folder;
    auto old = DataFolder::lock(folder.path());
    REQUIRE(old);
    std::ofstream(folder.path() / "souk.sock") << "old";
    REQUIRE(old->announce(1, 2));
    auto heir = DataFolder::join(folder.path());
    REQUIRE(heir);
    std::ofstream(folder.path() / "fresh") << "new";
    fs::rename(folder.path() / "fresh", folder.path() / "souk.sock");
    REQUIRE(heir->announce(1, 2));
    old->withdraw();
    CHECK(fs::exists(folder.path() / "souk.sock"));
    CHECK(fs::exists(folder.path() / "souk.json"));
    heir->withdraw();
    CHECK_FALSE(fs::exists(folder.path() / "souk.sock"));
    CHECK_FALSE(fs::exists(folder.path() / "souk.json"));
}
