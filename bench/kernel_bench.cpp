// Every kernel on every instruction set of this machine: G multiply-adds a second on one thread,
// from weights and activations that fit a core's caches. Names end in the instruction set; choose
// with
// --benchmark_filter=multiply.*Q4_1.
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/kernels.h"

namespace dunlin {
namespace {

constexpr size_t kColumns = 576, kMatrixRows = 192;

std::vector<float> random_numbers(size_t count) {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> out(count);
    for (float& x : out) x = normal(engine);
    return out;
}

/// Codes at random; whatever they mean as scales is a number.
PackedMatrix random_matrix(DType dtype, size_t columns) {
    const BlockFormat& format = block_format(dtype);
    std::mt19937 engine(2);
    std::vector<std::byte> data(columns / format.block_elements * format.block_bytes * kMatrixRows);
    for (std::byte& byte : data) byte = static_cast<std::byte>(engine() & 0x3b);
    const TensorView tensor{dtype, {{columns, kMatrixRows, 1, 1}}, data};
    auto matrix = PackedMatrix::allocate(tensor);
    matrix->pack(tensor, 0, matrix->panels());
    return std::move(*matrix);
}

void count(benchmark::State& state, double products) {
    state.counters["GMAC/s"] =
        benchmark::Counter(products * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void multiply(benchmark::State& state, Isa isa, DType dtype, size_t rows) {
    const Kernels& kernels = kernels_for(isa);
    const KernelScope scope(kernels);
    const size_t columns = block_format(dtype).block_elements == 256 ? 768 : kColumns;
    const PackedMatrix matrix = random_matrix(dtype, columns);
    const auto x = random_numbers(rows * columns);
    QuantizedBuffer codes(rows, columns);
    BfloatBuffer bfloats(rows, columns);
    for (size_t r = 0; r < rows; ++r) {
        kernels.quantize(&x[r * columns], r, 0, columns / kBlock, codes.view());
        kernels.round_to_bfloats(&x[r * columns], r, 0, columns / kBlock, bfloats.view());
    }
    std::vector<float> out(rows * kMatrixRows);
    for (auto _ : state) {
        for (size_t panel = 0; panel < matrix.panels(); ++panel)
            if (matrix.format().quantized())
                kernels.multiply_quantized(matrix, panel, codes.view(), 0, rows,
                                           out.data() + panel * kPanelRows, kMatrixRows, false);
            else if (dtype == DType::BF16)
                kernels.multiply_bfloats(matrix, panel, bfloats.view(), 0, rows,
                                         out.data() + panel * kPanelRows, kMatrixRows, false);
            else
                kernels.multiply_plain(matrix, panel, x.data(), columns, 0, rows,
                                       out.data() + panel * kPanelRows, kMatrixRows, false);
        benchmark::DoNotOptimize(out.data());
    }
    count(state, static_cast<double>(rows * columns * kMatrixRows));
}

/// So many rows that no predictor of branches learns where the outliers are.
void quantize(benchmark::State& state, Isa isa) {
    constexpr size_t kRows = 256;
    const Kernels& kernels = kernels_for(isa);
    const KernelScope scope(kernels);
    auto x = random_numbers(kRows * kColumns);
    std::mt19937 engine(3);
    for (size_t block = 0; block < x.size(); block += kBlock)
        if (engine() % 100 < 18) x[block + engine() % kBlock] *= 20;
    QuantizedBuffer codes(kRows, kColumns);
    for (auto _ : state) {
        for (size_t row = 0; row < kRows; ++row)
            kernels.quantize(&x[row * kColumns], row, 0, kColumns / kBlock, codes.view());
        benchmark::ClobberMemory();
    }
    state.counters["numbers/s"] = benchmark::Counter(static_cast<double>(x.size()),
                                                     benchmark::Counter::kIsIterationInvariantRate);
}

/// Three queries that share a head of 64, as in the default model, on `keys` keys; many rows of
/// them as in a prompt.
void attend(benchmark::State& state, Isa isa, KvType type, uint32_t keys, size_t rows) {
    constexpr uint32_t kHead = 64, kShared = 3;
    const Kernels& kernels = kernels_for(isa);
    const KernelScope scope(kernels);
    const size_t blocks = (keys + 15) / 16;
    const KvLayout layout{type, kHead};
    std::vector<uint16_t> kv(blocks * layout.block_bytes() / 2, 0x3000);
    std::vector<uint32_t> order(blocks);
    for (uint32_t i = 0; i < blocks; ++i) order[i] = i;
    const auto x = random_numbers(rows * kShared * kHead);
    std::vector<float> result(x.size());
    std::vector<const float*> from;
    std::vector<float*> to;
    std::vector<uint32_t> lengths;
    for (size_t i = 0; i < rows * kShared; ++i) {
        from.push_back(&x[i * kHead]);
        to.push_back(&result[i * kHead]);
        lengths.push_back(static_cast<uint32_t>(keys - rows + i / kShared + 1));
    }
    const KvHead head{layout,
                      reinterpret_cast<const std::byte*>(kv.data()),
                      {.block = layout.block_bytes()},
                      order.data()};
    for (auto _ : state) {
        kernels.attend(head, {from.data(), to.data(), lengths.data(), from.size(), 0.125F});
        benchmark::DoNotOptimize(result.data());
    }
    double seen = 0;
    for (const uint32_t length : lengths) seen += length;
    count(state, 2.0 * kHead * seen);
}

void add_benchmarks(Isa isa) {
    const std::string name(to_string(isa));
    for (const DType dtype : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q8_0, DType::Q4_K,
                              DType::Q5_K, DType::Q6_K, DType::BF16, DType::F32})
        for (const size_t rows : {1, 8, 32, 256})
            benchmark::RegisterBenchmark(("multiply/" + std::string(to_string(dtype)) + "/" +
                                          std::to_string(rows) + "/" + name)
                                             .c_str(),
                                         multiply, isa, dtype, rows);
    benchmark::RegisterBenchmark(("quantize/" + name).c_str(), quantize, isa);
    for (const KvType type : {KvType::F16, KvType::Int8}) {
        const std::string of = type == KvType::Int8 ? "int8/" + name : name;
        for (const uint32_t keys : {64U, 512U, 4096U})
            benchmark::RegisterBenchmark(
                ("attend/decode/" + std::to_string(keys) + "/" + of).c_str(), attend, isa, type,
                keys, size_t{1});
        benchmark::RegisterBenchmark(("attend/prompt/512/" + of).c_str(), attend, isa, type, 512U,
                                     size_t{16});
    }
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    for (const dunlin::Isa isa : dunlin::available_isas())
        if (isa != dunlin::Isa::Portable) dunlin::add_benchmarks(isa);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
}
