#include "models/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/checked.h"

namespace dunlin {
namespace {

/// Panels that a worker takes at a time.
constexpr size_t kPanelGrain = 2;

void multiply(const Pass& pass, const Features& x, const Linear& matrix, size_t panel, size_t rows,
              float* out, size_t stride, bool add) {
    if (matrix.weight.format().quantized())
        pass.kernels.multiply_quantized(matrix.weight, panel, x.quantized(), 0, rows, out, stride,
                                        add);
    else if (matrix.weight.format().codes == PackedFormat::Codes::BF16)
        pass.kernels.multiply_bfloats(matrix.weight, panel, x.bfloats(), 0, rows, out, stride, add);
    else
        pass.kernels.multiply_plain(matrix.weight, panel, x.row(0), x.stride(), 0, rows, out,
                                    stride, add);
}

/// A worker's panels of a matrix.
PackedMatrix::Part part_of(const Pass& pass, const Linear& matrix, size_t part) {
    CHECK(matrix.weight.parts() == pass.worker.size());
    return matrix.weight.part(part);
}

void norm_row(const Pass& pass, const float* x, std::span<const float> weight, size_t row,
              Features& out) {
    pass.kernels.rms_norm(x, weight.data(), weight.size(), pass.config.rms_norm_eps, out.row(row));
    out.make_forms(pass.kernels, out.row(row), row, 0, out.blocks());
}

}  // namespace

Features::Features(size_t rows, size_t columns, Forms forms)
    : columns_(columns),
      stride_(round_up(columns, kPanelRows)),
      forms_(forms),
      values_(rows * stride_) {
    if (forms.quantized) codes_ = QuantizedBuffer(rows, columns);
    if (forms.bfloats) bfloats_ = BfloatBuffer(rows, columns);
}

void Features::make_forms(const Kernels& kernels, const float* values, size_t row, size_t block,
                          size_t count) {
    if (forms_.quantized) kernels.quantize(values, row, block, count, quantized());
    if (forms_.bfloats) kernels.round_to_bfloats(values, row, block, count, bfloats());
}

uint64_t Features::bytes() const {
    return 4 * values_.size() + codes_.bytes() + bfloats_.bytes();
}

/// For each pair the share of its frequency that yarn leaves undivided.
static std::vector<double> yarn_kept(const ModelConfig& config) {
    const RopeScaling& scaling = config.rope_scaling;
    const double size = config.rotary_dim;
    // The pair that turns so often within the original length.
    const auto pair_of = [&](double turns) {
        const double length = scaling.original_max_position_embeddings;
        return size * std::log(length / (turns * 2 * std::numbers::pi)) /
               (2 * std::log(static_cast<double>(config.rope_theta)));
    };
    const double low = std::max(0.0, std::floor(pair_of(scaling.beta_fast)));
    const double high = std::min(size - 1, std::ceil(pair_of(scaling.beta_slow)));
    const double width = low == high ? 0.001 : high - low;
    std::vector<double> kept;
    for (uint32_t i = 0; i < config.rotary_dim / 2; ++i)
        kept.push_back(1 - std::clamp((i - low) / width, 0.0, 1.0));
    return kept;
}

Rotary make_rotary(const ModelConfig& config) {
    const RopeScaling& scaling = config.rope_scaling;
    const bool is_yarn = scaling.type == RopeScaling::Type::Yarn;
    Rotary rotary{.frequencies = {}, .interleaved = config.rope_interleaved};
    if (is_yarn) rotary.scale = static_cast<double>(scaling.attn_factor);
    const std::vector<double> kept = is_yarn ? yarn_kept(config) : std::vector<double>{};
    for (uint32_t i = 0; i < config.rotary_dim / 2; ++i) {
        double frequency = std::pow(static_cast<double>(config.rope_theta),
                                    -2.0 * i / static_cast<double>(config.rotary_dim));
        if (i < scaling.freq_factors.size())
            frequency /= static_cast<double>(scaling.freq_factors[i]);
        if (scaling.type == RopeScaling::Type::Linear)
            frequency /= static_cast<double>(scaling.factor);
        if (is_yarn) frequency *= kept[i] + (1 - kept[i]) / static_cast<double>(scaling.factor);
        rotary.frequencies.push_back(frequency);
    }
    return rotary;
}

Workspace::Workspace(const ModelConfig& c, const FormsRead& read, const Dimensions& d)
    : hidden(d.rows_max, c.hidden_size),
      normed(d.rows_max, c.hidden_size, read.normed),
      attended(d.rows_max, size_t{c.num_attention_heads} * c.head_dim, read.attended),
      gated(d.rows_max, c.intermediate_size, read.gated),
      last(d.outputs_max, c.hidden_size, read.last),
      logits(d.outputs_max, c.vocab_size),
      stopped(std::min(kPartRowsMax, d.rows_max), c.hidden_size),
      scratch(d.threads, LineVector<float>(size_t{d.rows_max} * 4 * kPanelRows)),
      angles(size_t{d.rows_max} * c.rotary_dim),
      positions(d.rows_max),
      spans(c, d.tokens_max, d.threads) {
    const size_t q = round_up<size_t>(size_t{c.num_attention_heads} * c.head_dim, kPanelRows);
    const size_t kv = round_up<size_t>(size_t{c.num_key_value_heads} * c.head_dim, kPanelRows);
    qkv = Features(d.rows_max, q + 2 * kv);
}

uint64_t Workspace::bytes() const {
    uint64_t sum = 4 * (angles.size() + positions.size()) + spans.bytes();
    for (const Features* one :
         {&hidden, &normed, &qkv, &attended, &gated, &last, &logits, &stopped})
        sum += one->bytes();
    for (const auto& tile : scratch) sum += 4 * tile.size();
    return sum;
}

void embed(Pass& pass, const PackedMatrix& embedding, const Rotary& rotary) {
    const size_t pairs = rotary.frequencies.size();
    pass.share(pass.batch.sequences.size(), 1, [&](size_t begin, size_t end) {
        for (size_t s = begin; s < end; ++s) {
            const auto& sequence = pass.batch.sequences[s];
            const bool goes_on =
                pass.batch.last_layers.begin > 0 && s + 1 == pass.batch.sequences.size();
            for (uint32_t i = 0; i < sequence.rows; ++i) {
                const uint32_t row = sequence.first_row + i;
                pass.space.positions[row] = sequence.first_position + i;
                float* angles = pass.space.angles.data() + row * 2 * pairs;
                for (size_t pair = 0; pair < pairs; ++pair) {
                    const double angle = rotary.frequencies[pair] * (sequence.first_position + i);
                    angles[2 * pair] = static_cast<float>(rotary.scale * std::cos(angle));
                    angles[2 * pair + 1] = static_cast<float>(rotary.scale * std::sin(angle));
                }
                float* const hidden = pass.space.hidden.row(row);
                if (goes_on)
                    std::copy_n(pass.space.stopped.row(i), embedding.columns(), hidden);
                else
                    embedding.unpack_row(static_cast<size_t>(pass.batch.tokens[row]),
                                         {hidden, embedding.columns()});
            }
        }
    });
}

void keep_stopped(Pass& pass, uint32_t layers) {
    if (pass.batch.last_layers.end >= layers) return;
    const auto& sequence = pass.batch.sequences.back();
    pass.each_row(sequence.rows, [&](size_t i) {
        std::copy_n(pass.space.hidden.row(sequence.first_row + i), pass.space.hidden.columns(),
                    pass.space.stopped.row(i));
    });
}

void rms_norm(Pass& pass, const Features& x, std::span<const float> weight, Features& out) {
    pass.each_row(pass.rows(), [&](size_t row) { norm_row(pass, x.row(row), weight, row, out); });
}

void rms_norm_outputs(Pass& pass, const Features& x, std::span<const float> weight, Features& out) {
    const auto rows = pass.batch.output_rows;
    pass.each_row(rows.size(), [&](size_t i) { norm_row(pass, x.row(rows[i]), weight, i, out); });
}

void linear(Pass& pass, size_t rows, const Features& x, std::span<const Linear* const> matrices,
            Features& out) {
    const auto panels_of = [&](size_t part) {
        size_t panels = 0;
        for (const Linear* matrix : matrices) panels += part_of(pass, *matrix, part).panels();
        return panels;
    };
    pass.deal(kPanelGrain, panels_of, [&](size_t part, size_t begin, size_t end) {
        size_t first = 0;   // of the matrix, among the panels of this part
        size_t column = 0;  // of the matrix in `out`
        for (const Linear* matrix : matrices) {
            const auto [part_begin, part_end] = part_of(pass, *matrix, part);
            const size_t last = first + part_end - part_begin;
            for (size_t i = std::max(begin, first); i < std::min(end, last); ++i) {
                const size_t panel = part_begin + i - first;
                multiply(pass, x, *matrix, panel, rows, out.row(0) + column + panel * kPanelRows,
                         out.stride(), false);
            }
            first = last;
            column += matrix->weight.panels() * kPanelRows;
        }
    });
}

void linear_residual(Pass& pass, const Features& x, const Linear& matrix, Features& out) {
    const auto panels_of = [&](size_t part) { return part_of(pass, matrix, part).panels(); };
    pass.deal(kPanelGrain, panels_of, [&](size_t part, size_t begin, size_t end) {
        const size_t first = part_of(pass, matrix, part).begin;
        for (size_t panel = first + begin; panel < first + end; ++panel)
            multiply(pass, x, matrix, panel, pass.rows(), out.row(0) + panel * kPanelRows,
                     out.stride(), true);
    });
}

void gated_silu(Pass& pass, const Features& x, const Linear& gate, const Linear& up,
                Features& out) {
    constexpr size_t kTile = 2 * kPanelRows;  // two panels of each make one block of the output
    static_assert(kTile == kBlock);
    LineVector<float>& scratch = pass.space.scratch[pass.worker.rank()];
    float* gates = scratch.data();
    float* ups = gates + pass.rows() * kTile;
    const size_t panels = gate.weight.panels();
    const auto tiles_of = [&](size_t part) { return (part_of(pass, gate, part).panels() + 1) / 2; };
    pass.deal(1, tiles_of, [&](size_t part, size_t begin, size_t end) {
        const size_t first = part_of(pass, gate, part).begin / 2;
        for (size_t tile = first + begin; tile < first + end; ++tile) {
            for (size_t p = 0; p < 2 && 2 * tile + p < panels; ++p) {
                multiply(pass, x, gate, 2 * tile + p, pass.rows(), gates + p * kPanelRows, kTile,
                         false);
                multiply(pass, x, up, 2 * tile + p, pass.rows(), ups + p * kPanelRows, kTile,
                         false);
            }
            const size_t width = std::min(kTile, gate.outputs() - tile * kTile);
            for (size_t row = 0; row < pass.rows(); ++row) {
                float* const gate_row = gates + row * kTile;
                // Writing floats that nobody reads costs a prompt 7 %.
                float* const values = out.forms().floats ? out.row(row) + tile * kTile : gate_row;
                pass.kernels.silu_mul(gate_row, ups + row * kTile, width, values);
                out.make_forms(pass.kernels, values, row, tile, 1);
            }
        }
    });
}

const TensorView* WeightLoader::find(const std::string& name, uint64_t columns, uint64_t rows) {
    if (error_) return nullptr;
    const TensorView* tensor = source_.weights.find(name);
    if (tensor == nullptr) {
        error_ = Error{Code::Corrupt, "the model has no tensor '" + name + "'"};
    } else if (tensor->shape.columns() != columns || tensor->shape.rows() != rows) {
        error_ = Error{Code::Corrupt, "tensor '" + name + "' is " +
                                          std::to_string(tensor->shape.columns()) + " x " +
                                          std::to_string(tensor->shape.rows()) + ", expected " +
                                          std::to_string(columns) + " x " + std::to_string(rows)};
    }
    return error_ ? nullptr : tensor;
}

Linear WeightLoader::linear(const std::string& name, uint64_t inputs, uint64_t outputs) {
    const TensorView* tensor = find(name, inputs, outputs);
    if (tensor == nullptr) return {};
    auto matrix = PackedMatrix::allocate(*tensor, streams_);
    if (!matrix) {
        error_ = Error{matrix.error().code, "tensor '" + name + "': " + matrix.error().message};
        return {};
    }
    source_.team.run([&](Worker& worker) {
        worker.deal(
            16, [&](size_t part) { return matrix->part(part).panels(); },
            [&](size_t part, size_t begin, size_t end) {
                const size_t first = matrix->part(part).begin;
                matrix->pack(*tensor, first + begin, first + end);
            });
    });
    source_.weights.release(*tensor);
    bytes_ += matrix->bytes();
    return {std::move(*matrix)};
}

std::vector<float> WeightLoader::vector(const std::string& name, uint64_t size) {
    const TensorView* tensor = find(name, size, 1);
    if (tensor == nullptr) return {};
    auto matrix = PackedMatrix::allocate(*tensor);
    if (!matrix) {
        error_ = Error{matrix.error().code, "tensor '" + name + "': " + matrix.error().message};
        return {};
    }
    matrix->pack(*tensor, 0, matrix->panels());
    std::vector<float> values(size);
    matrix->unpack_row(0, values);
    bytes_ += 4 * size;
    return values;
}

}  // namespace dunlin
