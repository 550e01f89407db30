// How a connection is made without blocking: names are resolved by Asio, since libpq would wait for
// them; then PQconnectPoll between waits for the socket.
#include "database/postgres/session.hpp"
#include "souk/background.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>

namespace souk::database::postgres {
namespace {

constexpr int oldest_server = 130000;

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

struct HostList {
    std::string hosts;
    std::string addresses;
    std::string ports;

    void add(std::string_view host, std::string_view address, std::string_view port) {
        std::string_view comma = hosts.empty() && addresses.empty() && ports.empty() ? "" : ",";
        hosts += fmt::format("{}{}", comma, host);
        addresses += fmt::format("{}{}", comma, address);
        ports += fmt::format("{}{}", comma, port.empty() ? "5432" : port);
    }
};

std::string_view nth(std::string_view list, std::size_t n) {
    for (; n > 0; --n) {
        auto comma = list.find(',');
        if (comma == std::string_view::npos) return {};
        list.remove_prefix(comma + 1);
    }
    return list.substr(0, list.find(','));
}

bool is_name(std::string_view host) {
    if (host.empty() || host.front() == '/' || host.front() == '@') return false;
    boost::system::error_code no_address;
    asio::ip::make_address(host, no_address);
    return no_address.failed();
}

/// Each host by name with its addresses: the name stays for `verify-full`.
Task<Result<Keywords>> resolve(Executor home, Keywords keywords) {
    const std::string hosts(find(keywords, "host"));
    const std::string ports(find(keywords, "port"));
    if (hosts.empty() || !find(keywords, "hostaddr").empty()) co_return keywords;
    const auto count = 1 + std::count(hosts.begin(), hosts.end(), ',');
    const bool one_port = ports.find(',') == std::string::npos;
    HostList list;
    std::string fault;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        const std::string host(nth(hosts, i));
        const std::string port(nth(ports, one_port ? 0 : i));
        if (!is_name(host)) {
            list.add(host, "", port);
            continue;
        }
        Resolver resolver(home);
        boost::system::error_code error;
        auto token = asio::redirect_error(use_task, error);
        auto found = co_await resolver.async_resolve(host, "", token);
        if (error)
            fault = fmt::format("could not translate host name {}: {}", host, error.message());
        for (const auto& entry : found)
            list.add(host, entry.endpoint().address().to_string(), port);
    }
    if (list.ports.empty()) co_return unavailable("resolve", std::move(fault));
    set(keywords, "host", list.hosts);
    set(keywords, "hostaddr", list.addresses);
    set(keywords, "port", list.ports);
    co_return keywords;
}

/// A look-up that may be left: Asio's thread cannot be torn from getaddrinfo().
struct Resolution {
    std::shared_ptr<base::Signal> done;
    Result<Keywords> found{Keywords()};
    bool ended = false;
};

Task<void> resolve_into(Executor home, Keywords keywords, std::shared_ptr<Resolution> resolution) {
    resolution->found = co_await resolve(home, std::move(keywords));
    resolution->ended = true;
    resolution->done->set();
}

pg_conn* start(const Keywords& keywords) {
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const Keyword& keyword : keywords) {
        names.push_back(keyword.name.c_str());
        values.push_back(keyword.value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    return PQconnectStartParams(names.data(), values.data(), 0);
}

/// Notices of an idle connection: the server says why it ends it.
void keep_notice(void* words, const PGresult* notice) {
    *static_cast<std::string*>(words) = Complaint(notice).message;
}

}  // namespace

/// Ends an attempt to connect that takes too long.
struct Session::Watchdog {
    Watchdog(Executor home, Clock& clock) : wakeup(home, clock) {}
    Wakeup wakeup;
    bool done = false;
};

Task<void> Session::watch(
    std::shared_ptr<Session> self, std::shared_ptr<Watchdog> dog, milliseconds timeout
) {
    co_await dog->wakeup.wait(timeout);
    if (dog->done) co_return;
    self->timed_out_ = true;
    if (self->resolving_) self->resolving_->set();
    if (self->socket_) self->socket_->cancel();
}

Task<Result<void>> Session::open(Target target, std::string setup, milliseconds timeout) {
    auto dog = std::make_shared<Watchdog>(home_, clock_);
    auto self = shared_from_this();
    spawn(home_, [self, dog, timeout] { return watch(self, dog, timeout); });
    auto connected = co_await connect(target, setup);
    dog->done = true;
    dog->wakeup.notify();
    if (closed_) co_return lost_error("it is being closed");
    if (timed_out_) connected = connect_error(target, "timeout expired");
    if (!connected) {
        close();
        co_return connected.error();
    }
    open_ = true;
    spawn(home_, [self] { return read_loop(self); });
    co_return Result<void>();
}

Task<Result<void>> Session::connect(const Target& target, const std::string& setup) {
    auto keywords = target.keywords();
    if (!keywords) co_return keywords.error();
    auto resolution = std::make_shared<Resolution>();
    resolution->done = resolving_ = base::Signal::make(home_);
    auto look_up = [home = home_, names = std::move(*keywords), resolution] {
        return resolve_into(home, names, resolution);
    };
    spawn(home_, std::move(look_up));
    co_await resolution->done->wait();
    if (closed_) co_return lost_error("closed");
    if (!resolution->ended) co_return connect_error(target, "timeout expired");
    const auto& resolved = resolution->found;
    if (!resolved) co_return connect_error(target, resolved.error().detail);
    pg_ = start(*resolved);
    if (pg_ == nullptr) throw std::bad_alloc();
    PQsetNoticeReceiver(pg_, keep_notice, &last_words_);
    auto connected = co_await poll_connection(target);
    if (!connected) co_return connected.error();
    if (PQserverVersion(pg_) < oldest_server)
        co_return unavailable(
            "database_open",
            fmt::format(
                "the server at {} is PostgreSQL {}: souk needs 13 or newer",
                target.place(),
                PQserverVersion(pg_) / 10000
            )
        );
    auto set_up = co_await run_setup(target, setup);
    if (!set_up) co_return set_up.error();
    if (PQenterPipelineMode(pg_) == 0) co_return connect_error(target, PQerrorMessage(pg_));
    co_return Result<void>();
}

Task<bool> Session::ready(Descriptor::wait_type what) {
    int fd = ::fcntl(PQsocket(pg_), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) co_return false;
    // A new one each time: libpq may have gone on to the next address with another socket.
    socket_ = std::make_unique<Descriptor>(home_, fd);
    boost::system::error_code error;
    auto token = asio::redirect_error(use_task, error);
    if (timed_out_) co_return false;
    co_await socket_->async_wait(what, token);
    co_return !error && !closed_ && !timed_out_;
}

Task<Result<void>> Session::poll_connection(const Target& target) {
    if (PQstatus(pg_) == CONNECTION_BAD) co_return connect_error(target, PQerrorMessage(pg_));
    auto state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) co_return connect_error(target, PQerrorMessage(pg_));
        auto what = state == PGRES_POLLING_READING ? Descriptor::wait_read : Descriptor::wait_write;
        bool may_go_on = co_await ready(what);
        if (!may_go_on) co_return connect_error(target, "timeout expired");
        state = PQconnectPoll(pg_);
    }
    PQsetnonblocking(pg_, 1);
    co_return Result<void>();
}

/// In the simple protocol: several statements, one round trip.
Task<Result<void>> Session::run_setup(const Target& target, const std::string& setup) {
    if (PQsendQuery(pg_, setup.c_str()) == 0) co_return connect_error(target, PQerrorMessage(pg_));
    PQflush(pg_);
    std::string fault;
    for (;;) {
        bool may_go_on = co_await ready(Descriptor::wait_read);
        if (!may_go_on) co_return connect_error(target, "timeout expired");
        if (PQconsumeInput(pg_) == 0) co_return connect_error(target, PQerrorMessage(pg_));
        while (PQisBusy(pg_) == 0) {
            PGresult* result = PQgetResult(pg_);
            if (result == nullptr) {
                if (fault.empty()) co_return Result<void>();
                co_return connect_error(target, fault);
            }
            if (PQresultStatus(result) == PGRES_FATAL_ERROR) fault = PQresultErrorMessage(result);
            PQclear(result);
        }
    }
}

}  // namespace souk::database::postgres
