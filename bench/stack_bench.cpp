// How fast the packed layout is without tokenizer, scheduler or server: the layer stack of a
// 135M-parameter llama (30 layers of random Q4_1 weights, a Q8_0 head) at several batch sizes, with
// the rates it reaches beside what the memory of this machine gives. Also compares the bits of one
// row's logits across all of them.
//
// usage: stack_bench [threads]

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/clock.h"
#include "models/layers.h"
#include "models/random_weights.h"

using namespace dunlin;  // NOLINT(google-build-using-namespace): a program of one file

namespace {

ModelConfig shape() {
    ModelConfig c;
    c.architecture = "llama";
    c.vocab_size = 49152, c.hidden_size = 576, c.intermediate_size = 1536;
    c.num_hidden_layers = 30, c.num_attention_heads = 9, c.num_key_value_heads = 3;
    c.head_dim = c.rotary_dim = 64, c.max_position_embeddings = 2048;
    c.tie_word_embeddings = true;
    return c;
}

/// Bytes a second that all threads together read from memory, the best of five passes over 512 MiB.
double read_bandwidth(Team& team) {
    std::vector<uint64_t> data((size_t{512} << 20) / 8, 1);
    double best = 0;
    for (int pass = 0; pass < 5; ++pass) {
        const int64_t begin = system_clock().now_us();
        std::atomic<uint64_t> sum{0};
        team.run([&](Worker& worker) {
            const size_t part = data.size() / worker.size();
            uint64_t lanes[8] = {};
            for (size_t i = worker.rank() * part; i < (worker.rank() + 1) * part; i += 8)
                for (size_t k = 0; k < 8; ++k) lanes[k] += data[i + k];
            for (const uint64_t lane : lanes) sum += lane;
        });
        if (sum == 0) std::abort();
        const double us = static_cast<double>(system_clock().now_us() - begin);
        best = std::max(best, static_cast<double>(data.size()) * 8 / us * 1e6);
    }
    return best;
}

}  // namespace

int main(int argc, char** argv) {
    const uint32_t threads = argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 2;
    Team team(threads);
    const double bandwidth = read_bandwidth(team);
    const ModelConfig config = shape();
    RandomWeights weights(1);
    weights.add_llama(config, DType::Q4_1, DType::Q8_0);
    std::printf("threads %u, memory read %.1f GB/s\n", threads, bandwidth / 1e9);

    std::vector<float> first;
    for (const Isa isa : available_isas()) {
        auto model = load_model({config, weights, kernels_for(isa), team});
        if (!model) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
        auto kv = KvStore::allocate({.layers = 30, .heads = 3, .head_dim = 64, .blocks = 64});
        Workspace space(config, (*model)->forms_read(),
                        {.rows_max = 512, .outputs_max = 64, .threads = threads});
        std::vector<BlockId> blocks(64);
        for (uint32_t i = 0; i < 64; ++i) blocks[i] = i;

        for (const uint32_t rows : {1U, 8U, 32U, 512U}) {
            if (isa == Isa::Portable && rows > 8) continue;
            std::vector<TokenId> tokens(rows);
            for (uint32_t i = 0; i < rows; ++i) tokens[i] = static_cast<TokenId>(i * 97 % 49152);
            const bool prefill = rows == 512;
            // Prefill: one sequence. Decode: sequences of one token, each in its own block.
            std::vector<ForwardBatch::Sequence> sequences;
            std::vector<uint32_t> outputs;
            if (prefill) sequences.push_back({0, rows, 0, blocks});
            for (uint32_t i = 0; !prefill && i < rows; ++i)
                sequences.push_back({i, 1, 0, std::span(blocks).subspan(i, 1)});
            for (uint32_t i = prefill ? rows - 1 : 0; i < rows; ++i) outputs.push_back(i);
            const ForwardBatch batch{tokens, sequences, outputs};
            double best_us = 1e18;
            for (int64_t spent = 0; spent < 1'500'000;) {
                const int64_t begin = system_clock().now_us();
                team.run([&](Worker& w) { (*model)->forward(w, batch, *kv, space); });
                const int64_t us = system_clock().now_us() - begin;
                spent += us;
                best_us = std::min(best_us, static_cast<double>(us));
            }
            const double macs = 106.2e6 * rows + 28.3e6 * static_cast<double>(outputs.size());
            std::printf("%-9s rows %4u  %9.1f tokens/s  %6.1f G multiply-adds/s/core  %5.1f GB/s\n",
                        std::string(to_string(isa)).c_str(), rows, rows / best_us * 1e6,
                        macs / best_us / 1e3 / threads,
                        static_cast<double>((*model)->weight_bytes()) / best_us / 1e3);
            if (!prefill) {
                const float* row = space.logits.row(0);
                if (first.empty()) first.assign(row, row + config.vocab_size);
                if (std::memcmp(first.data(), row, first.size() * 4) != 0)
                    std::printf("          row 0 differs from the first run\n");
            }
        }
    }
    return 0;
}
