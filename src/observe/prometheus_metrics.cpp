#include "observe/prometheus_metrics.hpp"

#include "observe/process_metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <string>

namespace souk::observe {
namespace {

using Key = std::pair<std::string, prometheus::Labels>;

class PrometheusCounter final : public Counter {
public:
    explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
    void add(double n) override { counter_.Increment(n); }

private:
    prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
public:
    explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
    void set(double v) override { gauge_.Set(v); }
    void add(double n) override { gauge_.Increment(n); }

private:
    prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
public:
    explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
    void observe(double v) override { histogram_.Observe(v); }

private:
    prometheus::Histogram& histogram_;
};

prometheus::Labels to_labels(Labels labels) {
    prometheus::Labels map;
    for (const auto& [name, value] : labels)
        map.emplace(name, value);
    return map;
}

class PrometheusMetrics final : public Metrics {
public:
    Counter& counter(std::string_view name, std::string_view help, Labels labels) override {
        return find_or_make(counters_, name, labels, [&](const prometheus::Labels& map) {
            auto& family = prometheus::BuildCounter()
                               .Name(std::string(name))
                               .Help(std::string(help))
                               .Register(registry_);
            return std::make_unique<PrometheusCounter>(family.Add(map));
        });
    }

    Gauge& gauge(std::string_view name, std::string_view help, Labels labels) override {
        return find_or_make(gauges_, name, labels, [&](const prometheus::Labels& map) {
            auto& family = prometheus::BuildGauge()
                               .Name(std::string(name))
                               .Help(std::string(help))
                               .Register(registry_);
            return std::make_unique<PrometheusGauge>(family.Add(map));
        });
    }

    Histogram& histogram(
        std::string_view name, std::string_view help, std::vector<double> bounds, Labels labels
    ) override {
        return find_or_make(histograms_, name, labels, [&](const prometheus::Labels& map) {
            auto& family = prometheus::BuildHistogram()
                               .Name(std::string(name))
                               .Help(std::string(help))
                               .Register(registry_);
            return std::make_unique<PrometheusHistogram>(family.Add(map, bounds));
        });
    }

    std::string expose() const override {
        std::vector<prometheus::MetricFamily> families = registry_.Collect();
        for (auto& family : collect_process_metrics())
            families.push_back(std::move(family));
        return prometheus::TextSerializer().Serialize(families);
    }

private:
    template <class T, class Make>
    T& find_or_make(
        std::map<Key, std::unique_ptr<T>>& known, std::string_view name, Labels labels, Make make
    ) {
        std::lock_guard lock(mutex_);
        Key key(std::string(name), to_labels(labels));
        auto& slot = known[key];
        if (!slot) slot = make(key.second);
        return *slot;
    }

    std::mutex mutex_;
    prometheus::Registry registry_;
    std::map<Key, std::unique_ptr<Counter>> counters_;
    std::map<Key, std::unique_ptr<Gauge>> gauges_;
    std::map<Key, std::unique_ptr<Histogram>> histograms_;
};

}  // namespace

std::unique_ptr<Metrics> make_metrics() {
    return std::make_unique<PrometheusMetrics>();
}

}  // namespace souk::observe
