#include "base/metrics.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace dunlin {

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()),
      counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds.size() + 1)) {
    CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::observe(double value) {
    const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<size_t>(at)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
    std::vector<uint64_t> counts(bounds_.size() + 1);
    for (size_t i = 0; i < counts.size(); ++i)
        counts[i] = counts_[i].load(std::memory_order_relaxed);
    return counts;
}

std::span<const double> seconds_buckets() {
    static constexpr std::array kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                           0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0, 300.0};
    return kBounds;
}

Metrics::Family& Metrics::family(std::string_view name, std::string_view help,
                                 MetricFamily::Type type) {
    auto at = families_.find(name);
    if (at == families_.end())
        at =
            families_.emplace(std::string(name), Family{type, std::string(help), {}, {}, {}}).first;
    CHECK(at->second.type == type);
    return at->second;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    auto& slot = family(name, help, MetricFamily::Type::Counter).counters[labels];
    if (!slot) slot = std::make_unique<Counter>();
    return *slot;
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, const Labels& labels,
                              std::span<const double> bounds) {
    const std::lock_guard lock(mutex_);
    auto& slot = family(name, help, MetricFamily::Type::Histogram).histograms[labels];
    if (!slot) slot = std::make_unique<Histogram>(bounds);
    return *slot;
}

void Metrics::gauge(std::string_view name, std::string_view help, Labels labels,
                    std::function<double()> read) {
    const std::lock_guard lock(mutex_);
    family(name, help, MetricFamily::Type::Gauge).asked[std::move(labels)] = std::move(read);
}

void Metrics::counter_elsewhere(std::string_view name, std::string_view help, Labels labels,
                                std::function<double()> read) {
    const std::lock_guard lock(mutex_);
    family(name, help, MetricFamily::Type::Counter).asked[std::move(labels)] = std::move(read);
}

std::vector<MetricFamily> Metrics::collect() const {
    const std::lock_guard lock(mutex_);
    std::vector<MetricFamily> out;
    for (const auto& [name, family] : families_) {
        MetricFamily& one = out.emplace_back(MetricFamily{family.type, name, family.help, {}});
        for (const auto& [labels, counter] : family.counters)
            one.series.push_back(
                {.labels = labels, .value = static_cast<double>(counter->value())});
        for (const auto& [labels, read] : family.asked)
            one.series.push_back({.labels = labels, .value = read()});
        for (const auto& [labels, histogram] : family.histograms) {
            const auto bounds = histogram->bounds();
            one.series.push_back({.labels = labels,
                                  .bounds = {bounds.begin(), bounds.end()},
                                  .counts = histogram->counts(),
                                  .sum = histogram->sum()});
        }
    }
    return out;
}

}  // namespace dunlin
