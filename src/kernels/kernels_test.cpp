// Every kernel on every instruction set of this machine: against its definition in double
// precision, and bit for bit against the portable one, whatever the number of rows.

#include "kernels/kernels.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

constexpr DType kQuantized[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1,
                                DType::Q8_0, DType::Q4_K, DType::Q5_K, DType::Q6_K};

class Random {
 public:
    float number(float low, float high) {
        return std::uniform_real_distribution<float>(low, high)(engine_);
    }
    std::vector<float> numbers(size_t n, float low = -2, float high = 2) {
        std::vector<float> out(n);
        for (float& x : out) x = number(low, high);
        return out;
    }
    uint32_t bits() { return static_cast<uint32_t>(engine_()); }

 private:
    std::mt19937 engine_{7};
};

/// Random codes with small random scales wherever the format keeps halves.
std::vector<std::byte> random_tensor(DType dtype, size_t columns, size_t rows, Random& random) {
    const BlockFormat& format = block_format(dtype);
    std::vector<std::byte> data(columns / format.block_elements * format.block_bytes * rows);
    for (auto& byte : data) byte = static_cast<std::byte>(random.bits());
    const auto put_half = [&](size_t at) {
        const uint16_t bits = float_to_half(random.number(-0.1F, 0.1F));
        std::memcpy(&data[at], &bits, 2);
    };
    for (size_t at = 0; at < data.size(); at += format.block_bytes) {
        if (dtype == DType::Q6_K)
            put_half(at + 208);
        else
            put_half(at);
        if (dtype == DType::Q4_1 || dtype == DType::Q5_1 || dtype == DType::Q4_K ||
            dtype == DType::Q5_K)
            put_half(at + 2);
    }
    return data;
}

struct Activations {
    Activations(const Kernels& kernels, size_t rows, size_t columns, Random& random)
        : values(random.numbers(rows * columns)), buffer(rows, columns) {
        // An outlier in every third block, at any place in it.
        for (size_t at = 0; at < values.size(); at += 3 * kBlock)
            values[at + random.bits() % kBlock] = random.number(5, 500);
        quantize(kernels);
    }
    void quantize(const Kernels& kernels) {
        for (size_t r = 0; r < values.size() / view.columns; ++r)
            kernels.quantize(values.data() + r * view.columns, r, 0, view.blocks(), view);
    }
    /// What number `at` became.
    float quantized(size_t at) const {
        const size_t row = at / view.columns;
        const size_t column = at % view.columns;
        const size_t block = column / kBlock * view.row_stride + row;
        const uint8_t place = view.places[row * view.place_stride() + column / kBlock];
        if (place == column % kBlock + 1) return view.outliers[block];
        return scale(at) * view.codes[code_at(at)];
    }
    size_t code_at(size_t at) const {
        const size_t column = at % view.columns;
        return view.code_at(at / view.columns, column / kBlock) + column % kBlock;
    }
    float scale(size_t at) const {
        return view.scales[at % view.columns / kBlock * view.row_stride + at / view.columns];
    }
    std::vector<float> values;
    QuantizedBuffer buffer;
    const QuantizedRows& view = buffer.view();
};

class EveryIsa : public testing::TestWithParam<Isa> {
 protected:
    const Kernels& kernels() const { return kernels_for(GetParam()); }
    const Kernels& portable() const { return kernels_for(Isa::Portable); }
    Random random_;
    const KernelScope scope_{kernels()};
};

TEST_P(EveryIsa, QuantizedProductsFollowTheirDefinition) {
    constexpr size_t kColumns = 512;
    constexpr size_t kRows = 23;  // a panel and a part of one
    constexpr size_t kTokens = 13;
    for (const DType dtype : kQuantized) {
        const auto data = random_tensor(dtype, kColumns, kRows, random_);
        const TensorView tensor{dtype, {{kColumns, kRows, 1, 1}}, data};
        auto matrix = PackedMatrix::allocate(tensor);
        ASSERT_TRUE(matrix);
        matrix->pack(tensor, 0, matrix->panels());
        const Activations x(kernels(), kTokens, kColumns, random_);
        for (size_t row = 0; row < kRows; ++row) {
            std::vector<float> w(kColumns);
            matrix->unpack_row(row, w);
            float out[kTokens * kPanelRows];
            kernels().multiply_quantized(*matrix, row / 16, x.view, 0, kTokens, out, kPanelRows,
                                         false);
            for (size_t t = 0; t < kTokens; ++t) {
                double expected = 0;
                double size = 0;
                for (size_t k = 0; k < kColumns; ++k) {
                    const size_t at = t * kColumns + k;
                    const double product = double{w[k]} * double{x.quantized(at)};
                    expected += product;
                    size += std::fabs(product);
                }
                ASSERT_NEAR(out[t * kPanelRows + row % 16], expected, 1e-5 * size)
                    << to_string(dtype) << " row " << row << " token " << t;
            }
        }
    }
}

TEST_P(EveryIsa, ProductsHaveTheSameBitsForAnyNumberOfRows) {
    constexpr size_t kColumns = 512;
    constexpr size_t kTokens = 81;
    for (const DType dtype : kQuantized) {
        const auto data = random_tensor(dtype, kColumns, 16, random_);
        const TensorView tensor{dtype, {{kColumns, 16, 1, 1}}, data};
        auto matrix = PackedMatrix::allocate(tensor);
        ASSERT_TRUE(matrix);
        matrix->pack(tensor, 0, 1);
        const Activations x(portable(), kTokens, kColumns, random_);
        std::vector<float> one_by_one(kTokens * 16, 1.0F);
        for (size_t t = 0; t < kTokens; ++t)
            portable().multiply_quantized(*matrix, 0, x.view, t, t + 1, one_by_one.data(), 16,
                                          true);
        for (size_t chunk = 1; chunk <= kTokens; chunk += chunk < 18 ? 1 : 21) {
            std::vector<float> chunked(kTokens * 16, 1.0F);
            for (size_t t = 0; t < kTokens; t += chunk)
                kernels().multiply_quantized(*matrix, 0, x.view, t, std::min(t + chunk, kTokens),
                                             chunked.data(), 16, true);
            ASSERT_EQ(one_by_one, chunked) << to_string(dtype) << " chunk " << chunk;
        }
    }
}

/// F16 is kept as it is and gives the bits that the same numbers give as F32.
TEST_P(EveryIsa, PlainProducts) {
    constexpr size_t kColumns = 37;
    constexpr size_t kRows = 21;
    constexpr size_t kTokens = 11;
    const auto x = random_.numbers(kColumns * kTokens);
    for (const DType dtype : {DType::F32, DType::F16}) {
        auto values = random_.numbers(kColumns * kRows);
        values[3] = 1e-6F, values[4] = -3e-8F, values[5] = 0;  // a half is denormal here
        std::vector<uint16_t> halves;
        for (float& value : values) {
            if (dtype == DType::F32) break;
            halves.push_back(float_to_half(value));
            value = half_to_float(halves.back());
        }
        const auto pack = [&](DType type, std::span<const std::byte> data) {
            const TensorView tensor{type, {{kColumns, kRows, 1, 1}}, data};
            auto matrix = PackedMatrix::allocate(tensor);
            EXPECT_TRUE(matrix);
            matrix->pack(tensor, 0, matrix->panels());
            return std::move(*matrix);
        };
        const PackedMatrix wide = pack(DType::F32, std::as_bytes(std::span(values)));
        const PackedMatrix matrix = dtype == DType::F32
                                        ? pack(dtype, std::as_bytes(std::span(values)))
                                        : pack(dtype, std::as_bytes(std::span(halves)));
        EXPECT_EQ(matrix.bytes(), 2 * 16 * kColumns * (dtype == DType::F32 ? 4U : 2U));
        for (size_t row = 0; row < kRows; ++row) {
            std::vector<float> numbers(kColumns);
            matrix.unpack_row(row, numbers);
            ASSERT_TRUE(std::equal(numbers.begin(), numbers.end(), &values[row * kColumns]));
        }
        for (size_t panel = 0; panel < 2; ++panel) {
            std::vector<float> out(kTokens * 16, 0.5F), same = out;
            kernels().multiply_plain(matrix, panel, x.data(), kColumns, 0, kTokens, out.data(), 16,
                                     true);
            for (size_t t = 0; t < kTokens; ++t) {
                portable().multiply_plain(wide, panel, x.data(), kColumns, t, t + 1, same.data(),
                                          16, true);
                for (size_t row = panel * 16; row < std::min(kRows, panel * 16 + 16); ++row) {
                    double expected = 0.5;
                    for (size_t k = 0; k < kColumns; ++k)
                        expected +=
                            double{values[row * kColumns + k]} * double{x[t * kColumns + k]};
                    ASSERT_NEAR(out[t * 16 + row % 16], expected, 1e-4);
                }
            }
            EXPECT_EQ(out, same) << to_string(dtype);
        }
    }
}

TEST_P(EveryIsa, RowOperations) {
    for (const size_t n : {1U, 15U, 16U, 33U, 576U}) {
        const auto x = random_.numbers(n, -30, 30);
        const auto y = random_.numbers(n);
        std::vector<float> normed(n), gated(n), same(n);
        kernels().rms_norm(x.data(), y.data(), n, 1e-5F, normed.data());
        kernels().silu_mul(x.data(), y.data(), n, gated.data());
        double squares = 0;
        for (const float v : x) squares += double{v} * double{v};
        for (size_t i = 0; i < n; ++i) {
            const double norm = x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-5) * y[i];
            EXPECT_NEAR(normed[i], norm, 1e-6 + 1e-6 * std::fabs(norm));
            const double silu = x[i] / (1 + std::exp(-double{x[i]})) * y[i];
            EXPECT_NEAR(gated[i], silu, 1e-12 + 1e-6 * std::fabs(silu));
        }
        portable().rms_norm(x.data(), y.data(), n, 1e-5F, same.data());
        EXPECT_EQ(normed, same);
        portable().silu_mul(x.data(), y.data(), n, same.data());
        EXPECT_EQ(gated, same);
    }
}

TEST_P(EveryIsa, QuantizedRowsAreWithinHalfAStep) {
    Activations x(kernels(), 3, 96, random_);
    for (size_t i = 0; i < x.values.size(); ++i) {
        EXPECT_LE(std::fabs(x.values[i] - x.quantized(i)), 0.501F * x.scale(i));
        EXPECT_GE(x.view.codes[x.code_at(i)], -127);
    }
    x.values.assign(x.values.size(), 0.0F);
    x.quantize(kernels());
    EXPECT_EQ(x.scale(0), 0.0F);
    for (size_t i = 0; i < x.values.size(); ++i) ASSERT_EQ(x.quantized(i), 0.0F);
}

TEST_P(EveryIsa, AnOutlierLeavesTheOthersTheirPrecision) {
    Activations x(kernels(), 1, 96, random_);
    for (float& value : x.values) value = random_.number(-1, 1);
    x.values[32 + 7] = -900.0F;                         // far out
    x.values[64 + 1] = 1.9F, x.values[64 + 2] = -1.0F;  // not twice the next
    x.quantize(kernels());
    EXPECT_EQ(x.view.places[0], 0);
    EXPECT_EQ(x.view.places[1], 8);
    EXPECT_EQ(x.view.places[2], 0);
    EXPECT_EQ(x.quantized(32 + 7), -900.0F);
    EXPECT_LE(x.scale(kBlock), 1.0F / 127);
}

/// What a number becomes when it is kept as a byte: the definition, apart from the kernels. The
/// largest is 127 of the scale, which is a half.
void keep_as_bytes(std::span<float> x) {
    float largest = 0;
    for (const float v : x) largest = std::max(largest, std::fabs(v));
    const float scale = half_to_float(float_to_half(largest / 127));
    for (float& v : x)
        v = scale > 0 ? scale * std::clamp(std::nearbyint(v * (1 / scale)), -127.0F, 127.0F) : 0.0F;
}

/// Times the symmetric Hadamard matrix of each run of `size`, by its definition: the sign of (i, j)
/// is the parity of the bits that i and j share.
void turn(std::span<float> x, size_t size) {
    const std::vector<float> from(x.begin(), x.end());
    for (size_t i = 0; i < x.size(); ++i) {
        double sum = 0;
        for (size_t j = 0; j < size; ++j) {
            const double term{from[i / size * size + j]};
            sum += std::popcount(i % size & j) % 2 == 0 ? term : -term;
        }
        x[i] = static_cast<float>(sum / std::sqrt(static_cast<double>(size)));
    }
}

/// Keys and values of `tokens` tokens in blocks that lie in disorder, NaN where nothing is stored;
/// and as they should come back.
struct Cache {
    Cache(const Kernels& kernels, KvType type, uint32_t head_dim, uint32_t tokens, Random& random)
        : keys(random.numbers(size_t{tokens} * head_dim)),
          values(random.numbers(size_t{tokens} * head_dim)) {
        const uint32_t count = (tokens + 15) / 16;
        head.layout = {type, head_dim};
        head.strides.block = head.layout.block_bytes() + 32;
        head.strides.group = 2 * head.strides.block + 64;
        head.strides.group_shift = 1;
        data.assign(head.strides.at(count + 1) / 2, 0x7e00);
        for (uint32_t b = 0; b < count; ++b) blocks.push_back(count - 1 - b);
        auto* base = reinterpret_cast<std::byte*>(data.data());
        head.base = base;
        head.blocks = blocks.data();
        for (uint32_t t = 0; t < tokens; ++t) {
            const std::span key = std::span(keys).subspan(size_t{t} * head_dim, head_dim);
            const std::span value = std::span(values).subspan(size_t{t} * head_dim, head_dim);
            for (float& v : value) v *= static_cast<float>(t % 7 + 1);  // scales differ
            kernels.store_kv(key.data(), value.data(), head.layout, t % 16,
                             base + head.strides.at(blocks[t / 16]));
            for (const std::span row : {key, value}) {
                const size_t size = head_dim & (~head_dim + 1);
                const size_t group = row.data() == key.data() ? kKeyGroup : head_dim;
                if (type == KvType::Int8) turn(row, size);
                for (size_t d = 0; d < head_dim && type == KvType::Int8; d += group)
                    keep_as_bytes(row.subspan(d, std::min(group, head_dim - d)));
                if (type == KvType::Int8) turn(row, size);
                for (float& v : row)
                    if (type == KvType::F16) v = half_to_float(float_to_half(v));
            }
        }
    }
    std::vector<float> keys, values;  // as kept
    std::vector<uint16_t> data;
    std::vector<uint32_t> blocks;
    KvHead head;
};

/// The queries of all tokens, and where their results go.
struct AllQueries {
    AllQueries(std::span<const float> query, std::span<float> result, uint32_t head_dim)
        : scale(1.0F / std::sqrt(static_cast<float>(head_dim))) {
        for (size_t at = 0; at < query.size(); at += head_dim) {
            rows.push_back(&query[at]);
            out.push_back(&result[at]);
            lengths.push_back(static_cast<uint32_t>(rows.size()));
        }
    }
    Queries from(size_t first, size_t count) const {
        return {&rows[first], &out[first], &lengths[first], count, scale};
    }
    std::vector<const float*> rows;
    std::vector<float*> out;
    std::vector<uint32_t> lengths;
    float scale;
};

class Attention : public EveryIsa {
 protected:
    static constexpr uint32_t kTokens = 600;  // three spans

    void check(KvType type, uint32_t head_dim) {
        const Cache cache(kernels(), type, head_dim, kTokens, random_);
        const auto query = random_.numbers(size_t{kTokens} * head_dim);
        std::vector<float> alone(query.size()), together(query.size()), split(query.size());
        const AllQueries one(query, alone, head_dim);
        for (uint32_t t = 0; t < kTokens; ++t) portable().attend(cache.head, one.from(t, 1));
        kernels().attend(cache.head, AllQueries(query, together, head_dim).from(0, kTokens));
        ASSERT_EQ(alone, together);
        attend_in_spans(cache.head, AllQueries(query, split, head_dim));
        ASSERT_EQ(alone, split);
        for (const uint32_t t : {0U, 1U, 17U, 255U, 256U, 599U})
            check_query(cache, query, together, t);
    }

    /// In company of any size, one span after the other, the last first.
    void attend_in_spans(const KvHead& head, const AllQueries& all) {
        const size_t part = span_part_floats(head.layout.head_dim);
        for (size_t first = 0, count = 1; first < kTokens; first += count, count = count % 9 + 1) {
            count = std::min<size_t>(count, kTokens - first);
            const Queries queries = all.from(first, count);
            std::vector<float> parts(3 * count * part, NAN);
            for (const uint32_t span : {2U, 1U, 0U})
                kernels().attend_span(head, queries, span, &parts[span * count * part]);
            for (size_t q = 0; q < count; ++q)
                kernels().merge_spans(head.layout, &parts[q * part], count * part,
                                      (queries.lengths[q] + kSpanKeys - 1) / kSpanKeys,
                                      queries.out[q]);
        }
    }

    static void check_query(const Cache& cache, std::span<const float> query,
                            std::span<const float> result, uint32_t t) {
        const uint32_t head_dim = cache.head.layout.head_dim;
        std::vector<double> weight(t + 1);
        double total = 0;
        // A byte may be rounded to its other neighbour where it was halfway but for the last bit.
        const double tolerance = cache.head.layout.type == KvType::Int8 ? 2e-3 : 1e-5;
        for (uint32_t k = 0; k <= t; ++k) {
            double score = 0;
            for (uint32_t d = 0; d < head_dim; ++d)
                score += double{query[size_t{t} * head_dim + d]} *
                         double{cache.keys[size_t{k} * head_dim + d]};
            total += weight[k] =
                std::exp(score * double{1.0F / std::sqrt(static_cast<float>(head_dim))});
        }
        for (uint32_t d = 0; d < head_dim; ++d) {
            double expected = 0;
            for (uint32_t k = 0; k <= t; ++k)
                expected += weight[k] / total * double{cache.values[size_t{k} * head_dim + d]};
            ASSERT_NEAR(result[size_t{t} * head_dim + d], expected, tolerance);
        }
    }
};

TEST_P(Attention, FollowsItsDefinitionInAnyCompany) {
    for (const KvType type : {KvType::F16, KvType::Int8})
        for (const uint32_t head_dim : {24U, 64U, 41U, 80U, 128U, 1U}) {
            SCOPED_TRACE(std::string(type == KvType::Int8 ? "int8 " : "f16 ") +
                         std::to_string(head_dim));
            check(type, head_dim);
            if (HasFatalFailure()) return;
        }
}

TEST_P(Attention, StoresTheSameBytesEverywhere) {
    for (const KvType type : {KvType::F16, KvType::Int8})
        for (const uint32_t head_dim : {1U, 16U, 41U, 64U}) {
            Random a, b;
            const Cache here(kernels(), type, head_dim, 19, a);
            const Cache there(portable(), type, head_dim, 19, b);
            EXPECT_EQ(here.data, there.data) << head_dim;
        }
}

TEST_P(Attention, ValuesThatAreNoNumbersShow) {
    const KvLayout layout{KvType::Int8, 20};
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
        std::vector<uint16_t> block(layout.block_bytes() / 2);
        auto* base = reinterpret_cast<std::byte*>(block.data());
        std::vector<float> key(20, 1.0F), value(20, 0.0F), out(20), query(20, 1.0F);
        value[3] = bad;
        kernels().store_kv(key.data(), value.data(), layout, 0, base);
        const uint32_t first = 0;
        const KvHead head{layout, base, {.block = layout.block_bytes()}, &first};
        kernels().attend(head, AllQueries(query, out, 20).from(0, 1));
        EXPECT_TRUE(std::isnan(out[3])) << bad;
    }
}

/// llama.cpp sets shapes of its own once on a thread. enter() tells what a thread had.
TEST(KernelScope, GivesBackWhatTheThreadHad) {
    const Kernels& kernels = kernels_for(available_isas().back());
    if (kernels.enter == nullptr) GTEST_SKIP() << "nothing to be kept on this machine";
    const auto now = [&] {
        ThreadState state;
        kernels.enter(state);
        kernels.leave(state);
        return state;
    };
    ThreadState others = {};
    for (const bool any : {false, true}) {
        // Palette 1, and a tile of one row of four bytes.
        others.bytes[0] = others.bytes[48] = std::byte{any};
        others.bytes[16] = std::byte{any} << 2;
        kernels.leave(others);
        {
            const KernelScope scope(kernels);
            EXPECT_NE(std::memcmp(&others, now().bytes, sizeof others), 0);
        }
        EXPECT_EQ(std::memcmp(&others, now().bytes, sizeof others), 0);
    }
    kernels.leave({});
}

INSTANTIATE_TEST_SUITE_P(Isa, Attention, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });
INSTANTIATE_TEST_SUITE_P(Isa, EveryIsa, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace dunlin
