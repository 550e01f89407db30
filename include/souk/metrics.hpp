// Metrics for Prometheus. Make a handle once (at start) and keep it: making one takes a lock, using
// one does not. Names follow the guide and Prometheus' conventions (`_total`, `_seconds`).
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souk {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class Counter {
public:
    virtual ~Counter() = default;
    virtual void add(double n = 1) = 0;
};
class Gauge {
public:
    virtual ~Gauge() = default;
    virtual void set(double v) = 0;
    virtual void add(double n) = 0;
};
class Histogram {
public:
    virtual ~Histogram() = default;
    virtual void observe(double v) = 0;
};

/// The references live as long as the registry; the same name and labels give the same object.
class Metrics {
public:
    virtual ~Metrics() = default;
    virtual Counter& counter(std::string_view name, std::string_view help, Labels labels = {}) = 0;
    virtual Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {}) = 0;
    /// `bounds` are upper bounds in the metric's unit, rising.
    virtual Histogram& histogram(
        std::string_view name, std::string_view help, std::vector<double> bounds, Labels labels = {}
    ) = 0;
    /// The Prometheus text format 0.0.4.
    virtual std::string expose() const = 0;
};

}  // namespace souk
