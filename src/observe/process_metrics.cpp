#include "observe/process_metrics.hpp"

#include "base/log_sink.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace souk::observe {
namespace {

prometheus::MetricFamily family(
    const char* name, const char* help, prometheus::MetricType type, double value
) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    family.metric.push_back(std::move(metric));
    return family;
}

double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double total = 0;
    double resident = 0;
    statm >> total >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
    std::error_code error;
    std::filesystem::directory_iterator entries("/proc/self/fd", error);
    if (error) return 0;
    auto count = std::distance(begin(entries), end(entries));
    return static_cast<double>(count - 1);  // one of them reads the folder
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double now_seconds() {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

const double start_seconds = now_seconds();

}  // namespace

std::vector<prometheus::MetricFamily> collect_process_metrics() {
    using prometheus::MetricType;
    auto dropped = static_cast<double>(base::LogSink::instance().dropped());
    return {
        family(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            MetricType::Gauge,
            resident_bytes()
        ),
        family(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            MetricType::Counter,
            cpu_seconds()
        ),
        family(
            "process_open_fds",
            "Number of open file descriptors.",
            MetricType::Gauge,
            open_descriptors()
        ),
        family(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            MetricType::Gauge,
            start_seconds
        ),
        family(
            "log_lines_dropped_total",
            "Log lines lost because nobody read them fast enough.",
            MetricType::Counter,
            dropped
        ),
    };
}

}  // namespace souk::observe
