#include "observe/prometheus_metrics.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using namespace souk;

namespace {

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("metrics are exposed in Prometheus' text format", "[metrics]") {
    auto metrics = observe::make_metrics();
    metrics->counter("http_requests_total", "Requests.", {{"status", "200"}}).add();
    metrics->counter("http_requests_total", "Requests.", {{"status", "200"}}).add(2);
    metrics->counter("http_requests_total", "Requests.", {{"status", "404"}}).add();
    metrics->gauge("connections", "Open connections.").set(5);
    metrics->gauge("connections", "Open connections.").add(-2);
    auto& histogram = metrics->histogram("wait_seconds", "Waits.", {0.1, 1});
    histogram.observe(0.05);
    histogram.observe(0.5);
    histogram.observe(5);
    std::string text = metrics->expose();
    CHECK(has_line(text, "# TYPE http_requests_total counter"));
    CHECK(has_line(text, "# HELP http_requests_total Requests."));
    CHECK(has_line(text, "http_requests_total{status=\"200\"} 3"));
    CHECK(has_line(text, "http_requests_total{status=\"404\"} 1"));
    CHECK(has_line(text, "connections 3"));
    CHECK(has_line(text, "wait_seconds_bucket{le=\"0.1\"} 1"));
    CHECK(has_line(text, "wait_seconds_bucket{le=\"1\"} 2"));
    CHECK(has_line(text, "wait_seconds_bucket{le=\"+Inf\"} 3"));
    CHECK(has_line(text, "wait_seconds_count 3"));
}

TEST_CASE("the same name and labels give the same object", "[metrics]") {
    auto metrics = observe::make_metrics();
    Counter& a = metrics->counter("x_total", "X.", {{"a", "1"}, {"b", "2"}});
    Counter& b = metrics->counter("x_total", "X.", {{"b", "2"}, {"a", "1"}});
    Counter& c = metrics->counter("x_total", "X.", {{"a", "1"}});
    CHECK(&a == &b);
    CHECK(&a != &c);
    CHECK_THROWS(metrics->counter("not a name", "X."));
    CHECK_THROWS(metrics->counter("not a name", "X."));
    CHECK_THROWS(metrics->gauge("x_total", "X."));
}

TEST_CASE("label values are escaped", "[metrics]") {
    auto metrics = observe::make_metrics();
    metrics->counter("y_total", "Y.", {{"path", "a\"b\\c\nd"}}).add();
    CHECK(has_line(metrics->expose(), "y_total{path=\"a\\\"b\\\\c\\nd\"} 1"));
}

TEST_CASE("several threads count without loss", "[metrics]") {
    auto metrics = observe::make_metrics();
    Counter& counter = metrics->counter("z_total", "Z.");
    Histogram& histogram = metrics->histogram("z_seconds", "Z.", {1});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 5000; ++n) {
                counter.add();
                histogram.observe(0.5);
                metrics->counter("z_total", "Z.");
            }
        });
    for (auto& thread : threads)
        thread.join();
    std::string text = metrics->expose();
    CHECK(has_line(text, "z_total 20000"));
    CHECK(has_line(text, "z_seconds_count 20000"));
}

TEST_CASE("a process tells of itself", "[metrics]") {
    std::string text = observe::make_metrics()->expose();
    for (auto name :
         {"process_resident_memory_bytes",
          "process_cpu_seconds_total",
          "process_open_fds",
          "process_start_time_seconds",
          "log_lines_dropped_total"}) {
        INFO(name);
        CHECK(text.find("# TYPE " + std::string(name)) != std::string::npos);
    }
    CHECK(text.find("process_resident_memory_bytes 0\n") == std::string::npos);
    CHECK(text.find("process_open_fds 0\n") == std::string::npos);
}
