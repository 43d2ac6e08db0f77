#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A number that only grows. [any thread]
class Counter {
 public:
    void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<uint64_t> value_{0};
};

/// Counts of observations at or below each bound, as Prometheus histograms are. [any thread]
class Histogram {
 public:
    /// `bounds`: ascending upper bounds; +Inf is implied.
    explicit Histogram(std::span<const double> bounds);
    void observe(double value);

    std::span<const double> bounds() const { return bounds_; }
    /// Not cumulative; one more entry than bounds().
    std::vector<uint64_t> counts() const;
    double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<uint64_t>[]> counts_;
    std::atomic<double> sum_{0};
};

/// Upper bounds in seconds that suit everything from a cached route to a long answer.
std::span<const double> seconds_buckets();

using Labels = std::vector<std::pair<std::string, std::string>>;

/// One family as it is exposed: the text after HELP, its type, and its series at this moment.
struct MetricFamily {
    enum class Type : uint8_t { Counter, Gauge, Histogram } type = Type::Counter;
    struct Series {
        Labels labels = {};
        double value = 0;                   // counter, gauge
        std::vector<double> bounds = {};    // histogram
        std::vector<uint64_t> counts = {};  // histogram, not cumulative
        double sum = 0;                     // histogram
    };
    std::string name = {}, help = {};
    std::vector<Series> series = {};
};

/// All metrics of the process. Counters and histograms are made at first use and live as long as
/// the registry; gauges are functions that are asked at each scrape, so they cannot go stale.
/// Label values must come from bounded sets (routes, codes, model ids), never from user text.
/// [any thread]
class Metrics {
 public:
    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {},
                         std::span<const double> bounds = seconds_buckets());
    void gauge(std::string_view name, std::string_view help, Labels labels,
               std::function<double()> read);
    /// A counter that somebody else keeps. REQUIRES: what it reads never falls.
    void counter_elsewhere(std::string_view name, std::string_view help, Labels labels,
                           std::function<double()> read);
    /// Every family in order of name.
    std::vector<MetricFamily> collect() const;

 private:
    struct Family {
        MetricFamily::Type type;
        std::string help;
        std::map<Labels, std::unique_ptr<Counter>> counters;
        std::map<Labels, std::unique_ptr<Histogram>> histograms;
        std::map<Labels, std::function<double()>> asked;  // gauges, counters kept elsewhere
    };
    Family& family(std::string_view name, std::string_view help, MetricFamily::Type type);

    mutable std::mutex mutex_;
    std::map<std::string, Family, std::less<>> families_;
};

}  // namespace dunlin
