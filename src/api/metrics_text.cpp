#include <charconv>
#include <cmath>

#include "api/context.h"

namespace dunlin {
namespace {

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string escape(std::string_view text, bool quotes) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || (quotes && c == '"')) out += '\\';
        out += c;
    }
    return out;
}

void line(std::string& out, const std::string& name, const Labels& labels, std::string_view le,
          const std::string& value) {
    out += name;
    std::string inside;
    for (const auto& [key, text] : labels)
        inside += (inside.empty() ? "" : ",") + key + "=\"" + escape(text, true) + '"';
    if (!le.empty()) inside.append(inside.empty() ? "" : ",").append("le=\"").append(le) += '"';
    if (!inside.empty()) out += '{' + inside + '}';
    out += ' ' + value + '\n';
}

void histogram(std::string& out, const std::string& name, const MetricFamily::Series& series) {
    uint64_t below = 0;
    for (size_t i = 0; i < series.counts.size(); ++i) {
        below += series.counts[i];
        const std::string le = i < series.bounds.size() ? number(series.bounds[i]) : "+Inf";
        line(out, name + "_bucket", series.labels, le, std::to_string(below));
    }
    line(out, name + "_sum", series.labels, "", number(series.sum));
    line(out, name + "_count", series.labels, "", std::to_string(below));
}

}  // namespace

std::string metrics_text(const Metrics& metrics) {
    using Type = MetricFamily::Type;
    std::string out;
    for (const auto& family : metrics.collect()) {
        const char* type = family.type == Type::Counter ? "counter"
                           : family.type == Type::Gauge ? "gauge"
                                                        : "histogram";
        out += "# HELP " + family.name + ' ' + escape(family.help, false) + "\n# TYPE " +
               family.name + ' ' + type + '\n';
        for (const auto& series : family.series) {
            if (family.type == Type::Histogram)
                histogram(out, family.name, series);
            else
                line(out, family.name, series.labels, "", number(series.value));
        }
    }
    return out;
}

}  // namespace dunlin
