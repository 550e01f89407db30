// bench_beast_libpq: the obvious server of the product list: Beast's composed operations, a query a
// request by libpq without pipelining on a pool of connections, JSON by Boost.JSON. It believes its
// caller, so it has no limits, deadlines or metrics, and it does not even read the cursor:
// positions come from a file.
#include "bench/limits/product_page.hpp"
#include "bench/limits/server.hpp"
#include "bench/load/arguments.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <exception>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

using namespace souk::bench;
namespace http = boost::beast::http;

namespace {

constexpr const char* usage =
    R"(usage: bench_beast_libpq --database URL --query-file FILE --ids FILE [option value]...
Answers each request with a page of products.
  --database     postgresql://...; PGPASSWORD keeps the password off the command line
  --query-file   the shop's SQL for a list: $1 and $2 are the position behind which the page begins
                 (created_at, id); it gives 21 rows, of which 20 are shown
  --ids          positions, created_at and id with a tab between them, a line each; a request takes
                 the next one
  --connections  to the database, of all threads together (8)
  --threads      2
Prints {"port":N} when it listens on 127.0.0.1; ends on SIGTERM or when its stdin closes.
)";

constexpr const char* prepared = "list";
constexpr std::size_t page_size = 20;

struct Position {
    std::string created_at;
    std::string id;
};

struct Work {
    std::string database;
    std::string query;
    std::vector<Position> positions;
};

std::ifstream open_file(const std::string& name) {
    std::ifstream in(name);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}", name));
    return in;
}

std::vector<Position> read_positions(const std::string& name) {
    std::ifstream in = open_file(name);
    std::vector<Position> positions;
    for (std::string line; std::getline(in, line);) {
        const std::size_t tab = line.find('\t');
        if (tab == std::string::npos)
            throw std::runtime_error(fmt::format("{}: '{}' has no tab", name, line));
        positions.push_back(Position{line.substr(0, tab), line.substr(tab + 1)});
    }
    if (positions.empty()) throw std::runtime_error(fmt::format("{} is empty", name));
    return positions;
}

Work read_work(const Arguments& arguments) {
    Work work;
    work.database = arguments.text("--database");
    std::stringstream query;
    query << open_file(arguments.text("--query-file")).rdbuf();
    work.query = query.str();
    work.positions = read_positions(arguments.text("--ids"));
    return work;
}

using Rows = std::unique_ptr<PGresult, decltype(&PQclear)>;

/// One connection, for one query at a time.
class Link {
public:
    Link(asio::io_context& context, const Work& work)
        : pg_(PQconnectdb(work.database.c_str()), PQfinish), descriptor_(context) {
        if (PQstatus(pg_.get()) != CONNECTION_OK) throw std::runtime_error(words());
        const Rows done(PQprepare(pg_.get(), prepared, work.query.c_str(), 0, nullptr), PQclear);
        if (PQresultStatus(done.get()) != PGRES_COMMAND_OK) throw std::runtime_error(words());
        PQsetnonblocking(pg_.get(), 1);
        descriptor_.assign(dup(PQsocket(pg_.get())));
    }

    Task<Rows> list(const Position& after) {
        const std::array<const char*, 2> values{after.created_at.c_str(), after.id.c_str()};
        const int sent = PQsendQueryPrepared(
            pg_.get(), prepared, values.size(), values.data(), nullptr, nullptr, 0
        );
        if (sent != 1) throw std::runtime_error(words());
        while (PQflush(pg_.get()) == 1)
            co_await descriptor_.async_wait(Descriptor::wait_write, awaiting);
        Rows rows(nullptr, PQclear);
        for (;;) {
            while (PQisBusy(pg_.get()) == 1) {
                co_await descriptor_.async_wait(Descriptor::wait_read, awaiting);
                if (PQconsumeInput(pg_.get()) != 1) throw std::runtime_error(words());
            }
            PGresult* next = PQgetResult(pg_.get());
            if (next == nullptr) break;
            rows.reset(next);
        }
        if (PQresultStatus(rows.get()) != PGRES_TUPLES_OK) throw std::runtime_error(words());
        co_return rows;
    }

private:
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
    std::string words() const { return PQerrorMessage(pg_.get()); }

    std::unique_ptr<PGconn, decltype(&PQfinish)> pg_;
    Descriptor descriptor_;
};

/// The client sees its connection break: a fault of the measurement.
void tell(const std::exception_ptr& ended) {
    try {
        if (ended) std::rethrow_exception(ended);
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench_beast_libpq: {}\n", error.what());
    }
}

/// A thread: its connections to the database, and those of its clients.
class Server {
public:
    Server(const Work& work, std::size_t links, std::size_t first)
        : work_(work), context_(1), wake_(context_, Timer::time_point::max()), next_(first) {
        for (std::size_t i = 0; i < links; ++i) {
            links_.push_back(std::make_unique<Link>(context_, work));
            free_.push_back(links_.back().get());
        }
    }

    std::uint16_t open(std::uint16_t port) {
        Acceptor acceptor = listen(context_, port);
        port = acceptor.local_endpoint().port();
        asio::co_spawn(context_.get_executor(), accept(std::move(acceptor)), asio::detached);
        return port;
    }

    void run() { context_.run(); }

private:
    using Clock = std::chrono::steady_clock;
    using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

    Task<void> accept(Acceptor acceptor) {
        for (;;) {
            Socket socket = co_await acceptor.async_accept(awaiting);
            socket.set_option(tcp::no_delay(true));
            asio::co_spawn(context_.get_executor(), converse(std::move(socket)), tell);
        }
    }

    Task<void> converse(Socket socket) {
        boost::beast::flat_buffer buffer;
        boost::system::error_code gone;
        auto token = asio::redirect_error(awaiting, gone);
        while (!gone) {
            http::request<http::string_body> request;
            co_await http::async_read(socket, buffer, request, token);
            if (gone) co_return;
            http::response<http::string_body> answer(http::status::ok, 11);
            answer.set(http::field::content_type, "application/json");
            answer.body() = co_await page();
            answer.prepare_payload();
            co_await http::async_write(socket, answer, token);
        }
    }

    Task<std::string> page() {
        const Position& after = work_.positions[next_++ % work_.positions.size()];
        Link* link = co_await take_link();
        const Rows rows = co_await link->list(after);
        free_.push_back(link);
        wake_.cancel_one();
        co_return render_page(rows.get(), page_size);
    }

    Task<Link*> take_link() {
        boost::system::error_code woken;
        auto token = asio::redirect_error(awaiting, woken);
        while (free_.empty())
            co_await wake_.async_wait(token);
        Link* link = free_.back();
        free_.pop_back();
        co_return link;
    }

    const Work& work_;
    asio::io_context context_;
    std::vector<std::unique_ptr<Link>> links_;
    std::vector<Link*> free_;
    Timer wake_;  // never expires; cancelled for who waits for a link
    std::size_t next_;
};

int run(const Arguments& arguments) {
    const Work work = read_work(arguments);
    const std::size_t threads = arguments.count("--threads", 2);
    const std::size_t links = arguments.count("--connections", 8);
    if (links < threads) throw UsageError("--connections: each thread needs one");
    std::vector<std::unique_ptr<Server>> servers;
    std::uint16_t port = 0;
    for (std::size_t i = 0; i < threads; ++i) {
        const std::size_t mine = links / threads + (i < links % threads ? 1 : 0);
        // Threads begin at different positions.
        const std::size_t first = i * work.positions.size() / threads;
        servers.push_back(std::make_unique<Server>(work, mine, first));
        port = servers.back()->open(port);
    }
    std::vector<std::thread> running;
    running.reserve(threads);
    for (const auto& server : servers)
        running.emplace_back([&server] { server->run(); });
    announce_and_wait(port);
    _exit(0);  // queries may be under way; nothing is to be kept
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("bench_beast_libpq", usage, argc, argv, [&] {
        return run(Arguments(
            argc, argv, {"--database", "--query-file", "--ids", "--connections", "--threads"}
        ));
    });
}
