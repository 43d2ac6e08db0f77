#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/team.h"
#include "formats/model_config.h"
#include "formats/weight_source.h"
#include "models/forward.h"

namespace dunlin {

class Workspace;

/// In which forms some rows of activations are read by matrices.
struct Forms {
    bool floats = false, quantized = false, bfloats = false;

    /// What a matrix reads that is stored so.
    void add(const PackedFormat& format) {
        const bool is_bfloat = format.codes == PackedFormat::Codes::BF16;
        quantized |= format.quantized();
        bfloats |= is_bfloat;
        floats |= !format.quantized() && !is_bfloat;
    }
};

/// The same of the rows in a workspace, over all layers.
struct FormsRead {
    Forms normed, attended, gated, last;
};

/// A loaded model: pure computing, no requests. A file in arch/ composes one from the layers in
/// layers.h.
class Model {
 public:
    virtual ~Model() = default;

    virtual const ModelConfig& config() const = 0;
    virtual uint64_t weight_bytes() const = 0;
    virtual const FormsRead& forms_read() const = 0;

    /// Runs on every worker of a team together. Stores the rows' keys and values in `kv` and leaves
    /// the logits of batch.output_rows in the workspace, vocab_size each.
    /// REQUIRES: tokens below vocab_size; the workspace made for this model and at least as many
    /// rows; a team as large as the one that packed the weights.
    virtual void forward(Worker& worker, const ForwardBatch& batch, KvStore& kv,
                         Workspace& workspace) const = 0;
};

/// What a loader works with: the file's numbers and tensors, the machine's kernels and threads.
struct ModelSource {
    const ModelConfig& config;
    const WeightSource& weights;
    const Kernels& kernels;
    Team& team;
};

/// Builds the model that config.architecture names, packing the weights on the whole team.
/// Errors: Unsupported (lists the known architectures), Corrupt (a tensor is missing or misshapen;
/// names it), OutOfMemory.
Expected<std::unique_ptr<Model>> load_model(const ModelSource& source);

/// Whether load_model knows the architecture.
bool architecture_known(std::string_view name);

}  // namespace dunlin
