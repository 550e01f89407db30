// bench_bare_beast: the best plain Beast server that answers the same bytes to whatever is asked:
// composed operations, coroutines, concrete executors, an io_context a thread. It parses the
// request and serializes the answer, as any server must, and does nothing else.
#include "bench/limits/server.hpp"
#include "bench/load/arguments.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

using namespace souk::bench;
namespace http = boost::beast::http;
using Answer = http::response<http::string_body>;

namespace {

constexpr const char* usage = R"(usage: bench_bare_beast --answer FILE [--threads N]
Answers each request with FILE, a whole HTTP/1.1 answer with its Content-Length, on N threads (2).
Prints {"port":N} when it listens on 127.0.0.1; ends on SIGTERM or when its stdin closes.
)";

std::string read_file(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}", name));
    std::stringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

/// Throws when what is sent would not be the very bytes of the file.
Answer read_answer(const std::string& name) {
    const std::string text = read_file(name);
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    boost::system::error_code error;
    parser.put(boost::asio::buffer(text), error);
    if (error || !parser.is_done())
        throw std::runtime_error(fmt::format("{} is no whole HTTP answer", name));
    Answer answer = parser.release();
    std::ostringstream sent;
    sent << answer;
    if (sent.str() != text)
        throw std::runtime_error(fmt::format("{} has bytes that Beast would write otherwise", name)
        );
    return answer;
}

Task<void> converse(Socket socket, const Answer& answer) {
    boost::beast::flat_buffer buffer;
    boost::system::error_code gone;
    auto token = asio::redirect_error(awaiting, gone);
    while (!gone) {
        http::request<http::string_body> request;
        co_await http::async_read(socket, buffer, request, token);
        if (!gone) co_await http::async_write(socket, answer, token);
    }
}

Task<void> accept(Acceptor acceptor, const Answer& answer) {
    for (;;) {
        Socket socket = co_await acceptor.async_accept(awaiting);
        socket.set_option(tcp::no_delay(true));
        const Executor executor = socket.get_executor();
        asio::co_spawn(executor, converse(std::move(socket), answer), asio::detached);
    }
}

int run(const Arguments& arguments) {
    const Answer answer = read_answer(arguments.text("--answer"));
    std::vector<std::unique_ptr<asio::io_context>> contexts;
    std::vector<std::thread> threads;
    std::uint16_t port = 0;
    const std::uint64_t count = arguments.count("--threads", 2);
    for (std::uint64_t i = 0; i < count; ++i) {
        asio::io_context& context = *contexts.emplace_back(std::make_unique<asio::io_context>(1));
        Acceptor acceptor = listen(context, port);
        port = acceptor.local_endpoint().port();
        asio::co_spawn(context.get_executor(), accept(std::move(acceptor), answer), asio::detached);
    }
    threads.reserve(contexts.size());
    for (const auto& context : contexts)
        threads.emplace_back([&context] { context->run(); });
    announce_and_wait(port);
    _exit(0);  // connections may be open; nothing is to be kept
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("bench_bare_beast", usage, argc, argv, [&] {
        return run(Arguments(argc, argv, {"--answer", "--threads"}));
    });
}
