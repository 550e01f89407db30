#include "send_all.hpp"

#include "base/system_clock.hpp"
#include "http/client.hpp"

namespace souk::test {
namespace {

constexpr seconds patience{30};

struct Crowd {
    Crowd(const std::vector<Outgoing>& requests, http::ClientTarget target)
        : requests(requests), target(std::move(target)), answers(requests.size()) {
        for (http::Response& answer : answers)
            answer.status = 0;
    }
    const std::vector<Outgoing>& requests;
    const http::ClientTarget target;
    std::vector<http::Response> answers;
    std::size_t next = 0;
};

Task<void> work(Crowd& crowd, Executor executor) {
    http::Client client(executor, crowd.target);
    Clock& clock = base::system_clock();
    while (crowd.next < crowd.requests.size()) {
        const std::size_t mine = crowd.next++;
        const Outgoing& request = crowd.requests[mine];
        auto answer = co_await client.send(
            request.method,
            request.target,
            request.headers,
            request.body,
            clock,
            Deadline(clock, patience)
        );
        if (answer) crowd.answers[mine] = std::move(*answer);
    }
}

}  // namespace

std::vector<http::Response> send_all(
    std::uint16_t port, const std::vector<Outgoing>& requests, std::size_t connections
) {
    asio::io_context context(1);
    http::ClientTarget target;
    target.host = "127.0.0.1";
    target.port = port;
    Crowd crowd(requests, std::move(target));
    const Executor executor = context.get_executor();
    const std::function<Task<void>()> worker = [&] { return work(crowd, executor); };
    for (std::size_t i = 0; i < connections; ++i)
        spawn(executor, worker);
    context.run();
    return std::move(crowd.answers);
}

}  // namespace souk::test
