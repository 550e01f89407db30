// bench_load: HTTP/1.1 load, closed loop or at a fixed rate. Figures go to stdout as JSON.
#include "bench/load/report.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace souk::bench;

namespace {

constexpr const char* usage =
    R"(usage: bench_load --url URL[,URL...] --requests FILE (--seconds S | --count N) [option value]...
  --url          http://host:port; connections are spread over several in turn
  --requests     JSON lines {"method":"POST","path":"/x","headers":{"A":"b"},"body":"..."}, sent in
                 turn; only path is needed. {n} in a path, header or body becomes a number of 19
                 digits that no other request of this or another run has.
  --seconds      how long to measure
  --count        how many requests to measure
  --connections  64
  --threads      1
  --rate         requests a second, whatever the server does (open loop): a latency counts from when
                 its request was due. Without it each connection sends the next request when it has
                 its answer (closed loop).
  --warm         seconds of the same load before what is measured (0)
  --expect       statuses that are no fault: 200[,201]
  --timeout      seconds for an answer, and at the end for what was due and not sent yet (10)
  --pipeline     no: one request at a time on a connection
Prints a line of JSON: requests (expected answers) and rate of what was measured; latencies in us,
quantiles_us as [part, us]; statuses; faults (unexpected statuses, broken connections, no answer in
time; at any time); reconnects; bytes received; cpu_seconds of bench_load itself meanwhile; total,
which counts expected answers of the warm-up and the end as well. Exit 1 when there were faults, 2
for bad usage.
)";

void allow_many_sockets() {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

class Progress {
public:
    explicit Progress(const std::vector<std::unique_ptr<Worker>>& workers) : workers_(workers) {
        if (isatty(STDERR_FILENO) != 0)
            thread_ = std::jthread([this](const std::stop_token& stop) { tell(stop); });
    }

private:
    void tell(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        std::uint64_t before = 0;
        while (!wake_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; })) {
            if (stop.stop_requested()) break;
            std::uint64_t now = 0;
            for (const auto& worker : workers_)
                now += worker->answered();
            fmt::print(stderr, "\r{:>9} answers, {:>8} in this second ", now, now - before);
            before = now;
        }
        fmt::print(stderr, "\r{:50}\r", "");
    }

    const std::vector<std::unique_ptr<Worker>>& workers_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_;
};

Totals run(const Plan& plan) {
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < plan.threads; ++i)
        workers.push_back(std::make_unique<Worker>(plan, i));
    for (const auto& worker : workers)
        worker->connect();
    {
        const Progress progress(workers);
        const Nanoseconds start = now_ns();
        std::vector<std::jthread> threads;
        for (unsigned i = 1; i < plan.threads; ++i)
            threads.emplace_back([&, i] { workers[i]->run(start); });
        workers[0]->run(start);
    }
    Totals totals;
    for (const auto& worker : workers)
        totals.add(worker->totals());
    return totals;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("bench_load", usage, argc, argv, [&] {
        const Plan plan = read_plan(argc, argv);
        allow_many_sockets();
        const Totals totals = run(plan);
        fmt::print("{}\n", to_json(totals));
        if (totals.faults == 0) return 0;
        fmt::print(stderr, "bench_load: {} faults, first: {}\n", totals.faults, totals.first_fault);
        return 1;
    });
}
