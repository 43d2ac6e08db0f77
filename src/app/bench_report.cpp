#include "app/bench_report.h"

#include <algorithm>
#include <cstdio>

#include "formats/gguf.h"
#include "formats/kv_elements.h"
#include "json/json.h"

namespace dunlin {
namespace {

/// How near a result comes to the limit that matters for it: memory where one stream decodes, for
/// all weights are read for each token; multiply-adds where many rows share the weights.
struct Rate {
    const char* unit;  // "gb_per_s", "gmac_per_s"
    double value, peak;
    double percent() const { return peak > 0 ? 100 * value / peak : 0; }
};

/// What is read for one token: all weights, and at the middle of the run what stands before it.
double token_bytes(const BenchPlan& plan, const BenchResult& result, const ModelCost& cost) {
    const double before = result.context + plan.generate / 2.0;
    return static_cast<double>(cost.layer_bytes + cost.head_bytes) +
           before * static_cast<double>(cost.kv_bytes);
}

Rate rate_of(const BenchPlan& plan, const BenchResult& result, const ModelCost& cost,
             const Machine& machine) {
    const double per_s = result.median();
    if (result.kind == BenchKind::Decode && result.streams == 1)
        return {"gb_per_s", per_s * token_bytes(plan, result, cost) / 1e9, machine.read_gb_per_s};
    // A prompt needs the head once; every decoded token needs it.
    const double heads =
        result.kind == BenchKind::Decode ? 1.0 : 1.0 / static_cast<double>(plan.prompt);
    const double macs =
        static_cast<double>(cost.layer_macs) + static_cast<double>(cost.head_macs) * heads;
    return {"gmac_per_s", per_s * macs / 1e9, machine.multiply_gmac_per_s};
}

const char* name(BenchKind kind) {
    return kind == BenchKind::Decode ? "decode" : "prefill";
}

/// The results of each test lie side by side; calls `each(first, second)` for native and another.
template <class Each>
void for_ratios(std::span<const BenchResult> results, Each&& each) {
    for (const BenchResult& ours : results)
        for (const BenchResult& other : results)
            if (ours.engine == "native" && other.engine != "native" && ours.kind == other.kind &&
                ours.streams == other.streams && ours.context == other.context)
                each(ours, other);
}

template <class... T>
std::string format(const char* pattern, T... values) {
    char text[256];
    const int length = std::snprintf(text, sizeof text, pattern, values...);
    return {text, static_cast<size_t>(std::clamp(length, 0, static_cast<int>(sizeof text) - 1))};
}

}  // namespace

Expected<ModelCost> model_cost(const std::string& path, KvType kv_type) {
    const auto file = GgufFile::open(path);
    if (!file) return std::unexpected(file.error());
    ModelCost cost;
    const bool tied = (*file)->find("output.weight") == nullptr;
    for (const auto tensor_name : (*file)->names()) {
        const TensorView& tensor = *(*file)->find(tensor_name);
        const uint64_t macs =
            tensor.shape.rows() > 1 ? tensor.shape.rows() * tensor.shape.columns() : 0;
        if (tensor_name == (tied ? "token_embd.weight" : "output.weight"))
            cost.head_macs += macs, cost.head_bytes += tensor.data.size();
        else if (tensor_name.starts_with("blk."))
            cost.layer_macs += macs, cost.layer_bytes += tensor.data.size();
    }
    for (const uint64_t elements : kv_elements(**file)) {
        // Scales of bytes: two halves for each head's key and value.
        const KvLayout layout{kv_type, 64};
        cost.kv_bytes += elements * layout.block_bytes() / (2 * 64 * kKvBlockTokens);
    }
    return cost;
}

std::string bench_json(const BenchPlan& plan, std::span<const BenchResult> results,
                       const ModelCost& cost, const Machine& machine) {
    Json::Array rows, ratios;
    for (const BenchResult& result : results) {
        const Rate rate = rate_of(plan, result, cost, machine);
        Json row{Json::Object{}};
        row.set("engine", result.engine);
        if (!result.setting.empty()) row.set("setting", result.setting);
        row.set("kind", name(result.kind));
        row.set("streams", result.streams);
        row.set("context", result.context);
        row.set("kv_type", plan.kv_type == KvType::Int8 ? "int8" : "f16");
        row.set("prompt", plan.prompt);
        row.set("generate", plan.generate);
        row.set("tokens_per_s", result.median());
        row.set("spread", Json::Array{result.tokens_per_s.front(), result.tokens_per_s.back()});
        row.set(rate.unit, rate.value);
        row.set("peak_percent", rate.percent());
        rows.push_back(std::move(row));
    }
    for_ratios(results, [&](const BenchResult& ours, const BenchResult& other) {
        Json row{Json::Object{}};
        row.set("kind", name(ours.kind));
        row.set("streams", ours.streams);
        row.set("context", ours.context);
        row.set("native_to", other.engine);
        row.set("ratio", ours.median() / other.median());
        ratios.push_back(std::move(row));
    });
    Json about{Json::Object{}};
    about.set("cpu", machine.cpu);
    about.set("cores", machine.cores);
    about.set("threads", machine.threads);
    about.set("instruction_set", machine.instruction_set);
    about.set("read_gb_per_s", machine.read_gb_per_s);
    about.set("multiply_gmac_per_s", machine.multiply_gmac_per_s);
    about.set("multiply_kind", machine.multiply_kind);
    Json all{Json::Object{}};
    all.set("results", std::move(rows));
    all.set("ratios", std::move(ratios));
    all.set("machine", std::move(about));
    return write_json(all).value_or("{}");
}

std::string bench_table(const BenchPlan& plan, std::span<const BenchResult> results,
                        const ModelCost& cost, const Machine& machine) {
    std::string out =
        plan.model + "\n" +
        format("%s, %u cores, %u threads, kernels for %s\n", machine.cpu.c_str(), machine.cores,
               machine.threads, machine.instruction_set.c_str()) +
        format("reads %.1f GB/s, multiplies %.0f G/s (%s) on these threads\n\n",
               machine.read_gb_per_s, machine.multiply_gmac_per_s, machine.multiply_kind.c_str()) +
        format("%-32s %-10s %10s  %-19s %14s %8s\n", "test", "engine", "tokens/s", "least..most",
               "rate", "of peak");
    for (const BenchResult& result : results) {
        const Rate rate = rate_of(plan, result, cost, machine);
        const std::string test =
            result.kind == BenchKind::Prefill ? format("prefill %u", plan.prompt)
            : result.streams == 1 ? format("decode %u after %u", plan.generate, result.context)
                                  : format("decode %u after %u, %u streams", plan.generate,
                                           result.context, result.streams);
        const std::string spread =
            format("%.1f..%.1f", result.tokens_per_s.front(), result.tokens_per_s.back());
        out +=
            format("%-32s %-10s %10.1f  %-19s %7.1f %-6s %6.0f %%  %s\n", test.c_str(),
                   result.engine.c_str(), result.median(), spread.c_str(), rate.value,
                   rate.unit[1] == 'b' ? "GB/s" : "GMAC/s", rate.percent(), result.setting.c_str());
        for_ratios(results, [&](const BenchResult& ours, const BenchResult& other) {
            if (&other == &result)
                out += format("%-32s native is %.2f times %s\n", "", ours.median() / other.median(),
                              other.engine.c_str());
        });
    }
    return out;
}

}  // namespace dunlin
