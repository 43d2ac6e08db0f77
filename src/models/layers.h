#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/line_vector.h"
#include "models/model.h"

namespace dunlin {

/// A weight matrix of a layer.
struct Linear {
    PackedMatrix weight;
    size_t outputs() const { return weight.rows(); }
};

/// Rows of activations between two layers: floats, and the forms that the weights which read them
/// are multiplied with. Rows are padded to whole panels.
class Features {
 public:
    Features() = default;
    Features(size_t rows, size_t columns, Forms forms = {});

    size_t columns() const { return columns_; }
    size_t stride() const { return stride_; }
    float* row(size_t index) { return values_.data() + index * stride_; }
    const float* row(size_t index) const { return values_.data() + index * stride_; }
    /// What matrices read of them.
    const Forms& forms() const { return forms_; }
    /// Blocks of 32 columns; the last may be a part of one.
    size_t blocks() const { return (columns_ + kBlock - 1) / kBlock; }
    /// Makes the other forms of `count` blocks of a row from their floats, which need not stand in
    /// row(). Rows may be made by several threads.
    void make_forms(const Kernels& kernels, const float* values, size_t row, size_t block,
                    size_t count);

    const QuantizedRows& quantized() const { return codes_.view(); }
    const BfloatRows& bfloats() const { return bfloats_.view(); }
    uint64_t bytes() const;

 private:
    size_t columns_ = 0, stride_ = 0;
    Forms forms_;
    LineVector<float> values_;
    QuantizedBuffer codes_;
    BfloatBuffer bfloats_;
};

/// Rotary frequencies of a model: the angle of pair i at position p is p * frequency[i].
struct Rotary {
    std::vector<double> frequencies;  // [rotary_dim / 2]
    bool interleaved = false;         // pairs (2i, 2i + 1), else (i, i + rotary_dim / 2)
    double scale = 1.0;               // of cosine and sine
};
Rotary make_rotary(const ModelConfig& config);

/// Room for what single spans of keys give the queries of a step, and who of those that compute
/// them is the last: that one merges them.
struct SpanRoom {
    SpanRoom(const ModelConfig& config, uint32_t tokens_max, uint32_t threads);
    std::unique_ptr<float[]> parts;  // is touched where it is used
    size_t floats = 0;
    std::vector<std::atomic<uint32_t>> done;  // of each sequence's head, in the units' order; 0
                                              // between two layers
    uint64_t bytes() const { return 4 * (floats + done.size()); }
};

/// Buffers of one step; made once for the most rows a step may have.
class Workspace {
 public:
    struct Dimensions {
        uint32_t rows_max = 0, outputs_max = 0, threads = 1;
        uint32_t tokens_max = 0;  // of a sequence
    };
    Workspace(const ModelConfig& config, const FormsRead& read, const Dimensions& dimensions);

    Features hidden, normed, qkv, attended, gated, last, logits;
    Features stopped;                        // `hidden` of the rows that stopped between two layers
    std::vector<LineVector<float>> scratch;  // one a worker: a gate and an up tile
    std::vector<float> angles;               // [rows][rotary_dim / 2][cos, sin]
    std::vector<uint32_t> positions;         // [rows]
    SpanRoom spans;
    uint64_t bytes() const;
};

/// What every layer needs to see of the present step; each worker has its own.
///
/// Nothing ends at a barrier: each piece of work begins by waiting for what is under way, so that
/// what is too small to share out can be done by the last worker to come, at no barrier of its own.
struct Pass {
    Worker& worker;
    ForwardBatch batch;  // as far as the present layer computes it
    KvStore& kv;
    Workspace& space;
    const ModelConfig& config;
    const Kernels& kernels;
    bool under_way = false;  // work that was shared out and not waited for
    KernelScope scope{kernels};
    size_t rows() const { return batch.tokens.size(); }

    /// Shares out [0, count) in pieces of `grain`, after all that was under way.
    template <class Body>
    void share(size_t count, size_t grain, Body&& body) {
        if (under_way) worker.barrier();
        worker.share(count, grain, body);
        under_way = true;
    }

    /// The same by the parts in which weights stand, and worker i begins with part i.
    template <class ItemsOf, class Body>
    void deal(size_t grain, ItemsOf&& items_of, Body&& body) {
        if (under_way) worker.barrier();
        worker.deal(grain, items_of, body);
        under_way = true;
    }

    /// body(row) for each of `count` rows, after all that was under way.
    template <class Body>
    void each_row(size_t count, Body&& body) {
        constexpr size_t kFewRows = 4;
        const auto run = [&](size_t begin, size_t end) {
            for (size_t row = begin; row < end; ++row) body(row);
        };
        if (count > kFewRows || !under_way) {
            share(count, std::max<size_t>(1, count / (4 * worker.size())), run);
        } else {
            worker.barrier([&] { run(0, count); });
            under_way = false;
        }
    }
};

/// Each of these is done by all workers together.

/// hidden = the tokens' rows of `embedding`, or what rows have that stopped in an earlier step;
/// also notes each row's position and rotary angles.
void embed(Pass& pass, const PackedMatrix& embedding, const Rotary& rotary);

/// Keeps what the rows have that stop before layer `layers`, the end.
void keep_stopped(Pass& pass, uint32_t layers);

/// out = x normed by its root mean square, times the weight.
void rms_norm(Pass& pass, const Features& x, std::span<const float> weight, Features& out);
/// The same for the rows whose logits are wanted, packed together.
void rms_norm_outputs(Pass& pass, const Features& x, std::span<const float> weight, Features& out);

/// Puts the outputs of the matrices side by side in `out`, each from a whole panel on.
void linear(Pass& pass, size_t rows, const Features& x, std::span<const Linear* const> matrices,
            Features& out);

/// out += matrix * x: a linear layer and the residual around its block.
void linear_residual(Pass& pass, const Features& x, const Linear& matrix, Features& out);

/// Causal attention over what `qkv` holds and what the sequences stored before.
void attention(Pass& pass, uint32_t layer, const Rotary& rotary);

/// out = silu(gate * x) * (up * x).
void gated_silu(Pass& pass, const Features& x, const Linear& gate, const Linear& up, Features& out);

/// Reads and checks one tensor after another for a loader; keeps the first error.
class WeightLoader {
 public:
    explicit WeightLoader(const ModelSource& source)
        : source_(source), streams_(source.team.size()) {}

    /// A packed matrix of exactly that shape.
    Linear linear(const std::string& name, uint64_t inputs, uint64_t outputs);
    /// A vector of floats; F32, F16 or BF16 in the file.
    std::vector<float> vector(const std::string& name, uint64_t size);

    uint64_t bytes() const { return bytes_; }
    const std::optional<Error>& error() const { return error_; }

 private:
    const TensorView* find(const std::string& name, uint64_t columns, uint64_t rows);

    const ModelSource& source_;
    std::vector<PageArena> streams_;  // one a worker
    uint64_t bytes_ = 0;
    std::optional<Error> error_;
};

}  // namespace dunlin
