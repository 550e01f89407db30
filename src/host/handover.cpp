#include "host/handover.hpp"

#include "souk/failpoint.hpp"
#include "souk/log.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/seq_packet_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace souk::host {
namespace {

namespace fs = std::filesystem;
using boost::system::error_code;
using Protocol = asio::generic::seq_packet_protocol;
using Socket = asio::basic_seq_packet_socket<Protocol, Executor>;
using Acceptor = asio::basic_socket_acceptor<Protocol, Executor>;

constexpr std::string_view version = "souk-handover/1";
constexpr std::string_view word_ready = "ready";
constexpr std::string_view word_leaving = "leaving";
constexpr std::string_view word_late = "late";
constexpr std::size_t max_heirlooms = 64;
constexpr std::size_t max_message = 2'048;
constexpr std::size_t max_name = 16;
constexpr milliseconds pause{50};

Error handover_error(std::string_view why) {
    return unavailable("handover", fmt::format("taking over: {}", why));
}

Error system_error(std::string_view what) {
    return handover_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

struct Message {
    std::string text;
    std::vector<http::Descriptor> descriptors;
};

/// Room for the descriptors of one message, aligned as sendmsg() wants it.
union Ancillary {
    cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * max_heirlooms)];
};

void append_descriptors(msghdr& message, std::vector<http::Descriptor>& out) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            out.emplace_back(fd);
        }
    }
}

/// Both sides of the conversation: packets with descriptors over a connected socket.
class Channel {
public:
    Channel(Socket socket, Clock& clock, milliseconds step)
        : socket_(std::move(socket)), clock_(clock), step_(step) {
        error_code ignored;
        socket_.non_blocking(true, ignored);
    }

    /// Errors: `unavailable` "handover" when the peer is another user.
    Result<void> check_peer() {
        ucred peer{};
        socklen_t size = sizeof peer;
        if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
            return system_error("who is there");
        if (peer.uid == ::geteuid()) return Result<void>();
        return handover_error("the other process is another user's");
    }

    void close() {
        error_code ignored;
        socket_.close(ignored);
    }

    /// One small packet into an empty queue: this does not wait.
    Result<void> send(std::string_view text, const Heritage& heritage = {}) {
        iovec part{const_cast<char*>(text.data()), text.size()};
        Ancillary ancillary{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (!heritage.empty()) {
            message.msg_control = ancillary.bytes;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * heritage.size());
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int) * heritage.size());
            for (std::size_t i = 0; i < heritage.size(); ++i) {
                const int fd = heritage[i].descriptor.get();
                std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
            }
        }
        const auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(text.size())) return system_error("sending");
        return Result<void>();
    }

    /// The next packet. Errors: `timeout` "handover"; `not_found` when the peer has gone;
    /// `unavailable` "handover" for what is no packet of this conversation.
    Task<Result<Message>> receive() {
        using namespace asio::experimental::awaitable_operators;
        error_code ec;
        auto token = asio::redirect_error(use_task, ec);
        auto input = socket_.async_wait(Socket::wait_read, token);
        auto time = clock_.sleep(step_);
        const auto first = co_await (std::move(input) || std::move(time));
        if (first.index() == 1)
            co_return Error(ErrorKind::timeout, "handover", "the other process does not answer");
        if (ec) co_return not_found(ec.message());
        co_return read();
    }

private:
    Result<Message> read() {
        char text[max_message];
        iovec part{text, sizeof text};
        Ancillary ancillary{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = ancillary.bytes;
        message.msg_controllen = sizeof ancillary.bytes;
        const auto size =
            ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size <= 0) return not_found("the other process has gone");
        Message out;
        append_descriptors(message, out.descriptors);
        if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
            return handover_error("the other process said too much");
        out.text.assign(text, static_cast<std::size_t>(size));
        return out;
    }

    Socket socket_;
    Clock& clock_;
    const milliseconds step_;
};

Protocol::endpoint endpoint_of(const fs::path& path) {
    return Protocol::endpoint(asio::local::stream_protocol::endpoint(path.string()));
}

const Protocol local(AF_UNIX, 0);

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= max_name &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string describe(const Heritage& heritage) {
    std::string out(version);
    for (const Heirloom& heirloom : heritage)
        out += '\n' + heirloom.name;
    return out;
}

/// Names and descriptors of the predecessor's answer, which must match.
Result<Heritage> parse(Message message) {
    std::string_view text = message.text;
    const auto first = text.substr(0, text.find('\n'));
    if (first != version)
        return handover_error("the process that serves speaks another version: restart instead");
    text.remove_prefix(first.size());
    Heritage out;
    for (http::Descriptor& descriptor : message.descriptors) {
        if (text.empty()) return handover_error("more descriptors than names came");
        text.remove_prefix(1);
        const auto name = text.substr(0, text.find('\n'));
        if (!is_name(name)) return handover_error("a descriptor without a name came");
        text.remove_prefix(name.size());
        out.emplace_back(std::string(name), std::move(descriptor));
    }
    if (!text.empty()) return handover_error("fewer descriptors than names came");
    return out;
}

}  // namespace

Result<fs::path> handover_socket(const fs::path& dir) {
    fs::path path = dir / "handover.sock";
    if (path.native().size() < sizeof(sockaddr_un::sun_path)) return path;
    return invalid(
        "socket_path",
        fmt::format(
            "the path of the socket for a successor, {}, has more than {} bytes: choose a shorter "
            "--data, or one relative to the working directory",
            path.string(),
            sizeof(sockaddr_un::sun_path) - 1
        )
    );
}

// --- the predecessor

struct HandoverOffer::State : std::enable_shared_from_this<HandoverOffer::State> {
    State(
        Executor executor,
        fs::path path,
        std::function<Heritage()> gather,
        std::function<void()> leave,
        Clock& clock,
        HandoverLimits limits
    )
        : path(std::move(path))
        , gather(std::move(gather))
        , leave(std::move(leave))
        , clock(clock)
        , limits(limits)
        , acceptor(executor) {}

    Result<void> listen();
    void withdraw();
    void end();
    static Task<void> accept_all(std::shared_ptr<State> self);
    Task<bool> converse(Channel& channel);

    const fs::path path;
    std::function<Heritage()> gather;
    std::function<void()> leave;
    Clock& clock;
    const HandoverLimits limits;
    Acceptor acceptor;
    Channel* conversation = nullptr;
    http::FileId file;  // ours, to leave a successor's alone
    bool ended = false;
    const Logger log{"handover"};
};

Result<void> HandoverOffer::State::listen() {
    // The new socket takes the old one's name when it listens: there is always one.
    const fs::path fresh = path.parent_path() / "handover.new";
    error_code ec;
    fs::remove(fresh, ec);
    ec.clear();
    acceptor.open(local, ec);
    if (!ec) acceptor.bind(endpoint_of(fresh), ec);
    if (!ec && ::chmod(fresh.c_str(), 0600) != 0) return system_error(fresh.string());
    if (!ec) acceptor.listen(Acceptor::max_listen_connections, ec);
    if (!ec) fs::rename(fresh, path, ec);
    if (ec) return handover_error(path.string() + ": " + ec.message());
    file = http::file_id(path);
    return Result<void>();
}

/// Before the successor hears that it may put its own there.
void HandoverOffer::State::withdraw() {
    error_code ignored;
    if (http::file_id(path) == file) fs::remove(path, ignored);
    file = http::FileId();
}

void HandoverOffer::State::end() {
    if (ended) return;
    ended = true;
    error_code ignored;
    acceptor.close(ignored);
    if (conversation != nullptr) conversation->close();
    withdraw();
}

Task<void> HandoverOffer::State::accept_all(std::shared_ptr<State> self) {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    while (!self->ended) {
        Socket socket = co_await self->acceptor.async_accept(token);
        if (self->ended) co_return;
        if (ec) {
            self->log.warn("accept failed", {{"error", ec.message()}});
            co_await self->clock.sleep(pause);
            continue;
        }
        Channel channel(std::move(socket), self->clock, self->limits.step);
        self->conversation = &channel;
        const bool ready = co_await self->converse(channel);
        self->conversation = nullptr;
        if (!ready || self->ended) continue;
        self->end();
        self->leave();
    }
}

/// True when the successor is ready.
Task<bool> HandoverOffer::State::converse(Channel& channel) {
    if (auto allowed = channel.check_peer(); !allowed) {
        log.warn("a successor was refused", {{"error", allowed.error().detail}});
        co_return false;
    }
    auto hello = co_await channel.receive();
    if (!hello || ended) co_return false;
    if (hello->text != version) {
        log.warn("a successor speaks another version", {});
        (void)channel.send(version);
        co_return false;
    }
    {
        const Heritage heritage = gather();
        if (heritage.size() > max_heirlooms) {
            log.error("too many sockets to hand on", {{"sockets", heritage.size()}});
            co_return false;
        }
        if (!channel.send(describe(heritage), heritage)) co_return false;
    }
    log.info("a successor has the sockets", {});
    auto word = co_await channel.receive();
    if (ended) co_return false;
    if (word && word->text == word_ready) {
        failpoint::hit("handover.before_leaving");
        withdraw();
        (void)channel.send(word_leaving);
        co_return true;
    }
    log.warn(
        "the successor did not become ready; this process stays",
        {{"error", word ? "it said something else" : word.error().detail}}
    );
    (void)channel.send(word_late);
    co_return false;
}

Result<std::unique_ptr<HandoverOffer>> HandoverOffer::open(
    Executor executor,
    fs::path path,
    std::function<Heritage()> gather,
    std::function<void()> leave,
    Clock& clock,
    HandoverLimits limits
) {
    auto state = std::make_shared<State>(
        executor, std::move(path), std::move(gather), std::move(leave), clock, limits
    );
    if (auto listening = state->listen(); !listening) return listening.error();
    spawn(executor, [state] { return State::accept_all(state); });
    return std::unique_ptr<HandoverOffer>(new HandoverOffer(std::move(state)));
}

HandoverOffer::HandoverOffer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HandoverOffer::~HandoverOffer() {
    state_->end();
}

// --- the successor

namespace {

bool nobody_there(const error_code& ec) {
    return ec == boost::system::errc::connection_refused ||
           ec == boost::system::errc::no_such_file_or_directory;
}

}  // namespace

struct Takeover::State {
    State(Channel channel, Heritage heritage)
        : channel(std::move(channel)), heritage(std::move(heritage)) {}
    Channel channel;
    Heritage heritage;
};

Task<Result<std::unique_ptr<Takeover>>> Takeover::ask(
    Executor executor, fs::path path, Clock& clock, HandoverLimits limits
) {
    const Deadline deadline(clock, limits.step);
    for (;;) {
        error_code ec;
        Socket socket(executor, local);
        socket.non_blocking(true, ec);
        socket.connect(endpoint_of(path), ec);  // to a Unix socket: done at once, or refused
        if (nobody_there(ec)) co_return std::unique_ptr<Takeover>();
        if (ec) co_return handover_error(path.string() + ": " + ec.message());
        Channel channel(std::move(socket), clock, limits.step);
        if (auto allowed = channel.check_peer(); !allowed) co_return allowed.error();
        auto sent = channel.send(version);
        std::optional<Result<Message>> answer;
        if (sent) answer = co_await channel.receive();
        if (answer && *answer) {
            auto heritage = parse(std::move(**answer));
            if (!heritage) co_return heritage.error();
            auto state = std::make_unique<State>(std::move(channel), std::move(*heritage));
            co_return std::unique_ptr<Takeover>(new Takeover(std::move(state)));
        }
        // It is leaving for another successor, whose own offer comes next, or is ending.
        const bool gone = !answer || answer->error().kind == ErrorKind::not_found;
        if (!gone || deadline.passed(clock)) co_return handover_error("no answer");
        co_await clock.sleep(pause);
    }
}

Takeover::Takeover(std::unique_ptr<State> state) : state_(std::move(state)) {}
Takeover::~Takeover() = default;

std::vector<http::Descriptor> Takeover::take(std::string_view name) {
    std::vector<http::Descriptor> out;
    for (Heirloom& heirloom : state_->heritage)
        if (heirloom.name == name) out.push_back(std::move(heirloom.descriptor));
    std::erase_if(state_->heritage, [&](const Heirloom& each) { return each.name == name; });
    return out;
}

std::vector<std::string> Takeover::left() const {
    std::vector<std::string> out;
    for (const Heirloom& heirloom : state_->heritage)
        out.push_back(heirloom.name);
    return out;
}

Task<Result<void>> Takeover::ready() {
    const Logger log("handover");
    // When it has hung up, its last word may still be there.
    failpoint::hit("handover.before_ready");
    (void)state_->channel.send(word_ready);
    auto word = co_await state_->channel.receive();
    if (word && word->text == word_late)
        co_return handover_error("the process that serves gave up waiting, and stays");
    if (word && word->text == word_leaving)
        log.info("took over", {});
    else
        log.warn("the predecessor did not say that it leaves; its sockets live on here", {});
    co_return Result<void>();
}

}  // namespace souk::host
