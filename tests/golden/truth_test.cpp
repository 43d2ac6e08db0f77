// The engine against Hugging Face transformers, as the committed results say it: in plain f32 the
// same tokens, and with quantized weights and activations a perplexity within half a per cent.
//
// usage: truth_test GOLDEN_FOLDER DATA_FOLDER DEFAULT_MODEL.gguf

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "formats/gguf.h"
#include "formats/model_config.h"
#include "golden/golden.h"
#include "gtest/gtest.h"
#include "json/json.h"
#include "kernels/reference/dequantize.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

std::string golden_folder, data_folder, default_model;

/// Every tensor of a file as plain numbers, by the reference dequantizers.
class PlainWeights final : public WeightSource {
 public:
    explicit PlainWeights(const GgufFile& file) {
        for (const auto name : file.names()) {
            const TensorView& tensor = *file.find(name);
            const size_t columns = tensor.shape.columns();
            std::vector<float>& values = values_[std::string(name)];
            values.resize(columns * tensor.shape.rows());
            for (uint64_t row = 0; row < tensor.shape.rows(); ++row)
                dequantize_row(tensor, row, std::span(values).subspan(row * columns, columns));
            views_[std::string(name)] = {DType::F32, tensor.shape,
                                         std::as_bytes(std::span(values))};
        }
    }
    const TensorView* find(std::string_view name) const override {
        const auto at = views_.find(std::string(name));
        return at == views_.end() ? nullptr : &at->second;
    }
    std::vector<std::string_view> names() const override { return {}; }
    void release(const TensorView&) const override {}

 private:
    std::map<std::string, std::vector<float>> values_;
    std::map<std::string, TensorView> views_;
};

Json golden(const std::string& name) {
    return read_golden(golden_folder + "/" + name);
}

std::unique_ptr<Runner> make(const std::string& path, bool plain, KvType type = KvType::F16) {
    const auto file = GgufFile::open(path);
    EXPECT_TRUE(file) << file.error().message;
    const auto config = model_config_from_gguf(**file);
    EXPECT_TRUE(config) << config.error().message;
    const NativeSettings settings{.kv_tokens = 4096, .kv_type = type, .context_tokens_max = 4096};
    auto runner = plain ? make_native_runner(*config, PlainWeights(**file), settings)
                        : make_native_runner(*config, **file, settings);
    EXPECT_TRUE(runner) << runner.error().message;
    return std::move(*runner);
}

/// Computes tokens [length, end) and returns the rows of logits of all of them.
std::vector<std::vector<float>> advance(Runner& runner, SeqId seq,
                                        std::span<const TokenId> tokens) {
    std::vector<std::vector<float>> rows;
    while (!tokens.empty()) {
        const auto count = static_cast<uint32_t>(
            std::min<size_t>(tokens.size(), runner.capabilities().step_outputs_max));
        EXPECT_TRUE(runner.reserve(seq, count));
        const Span span{seq, tokens.first(count), count};
        const auto step = runner.launch({{&span, 1}});
        EXPECT_TRUE(step) << step.error().message;
        for (const Output& output : runner.collect(*step)->outputs)
            rows.emplace_back(output.logits.begin(), output.logits.end());
        tokens = tokens.subspan(count);
    }
    return rows;
}

std::vector<TokenId> greedy(Runner& runner, std::vector<TokenId> tokens, size_t count) {
    const auto seq = runner.open({{1, 1}, tokens, static_cast<uint32_t>(tokens.size() + count)});
    EXPECT_TRUE(seq);
    std::vector<TokenId> out;
    while (out.size() < count) {
        const auto rows = advance(runner, *seq, tokens);
        const auto& last = rows.back();
        tokens = {static_cast<TokenId>(std::max_element(last.begin(), last.end()) - last.begin())};
        out.push_back(tokens[0]);
    }
    runner.close(*seq, Keep::Nothing);
    return out;
}

TEST(Truth, TinyModelsGiveTheTokensOfTransformers) {
    const Json models = golden("tiny_llama.json");
    for (const Json& model : *models.array()) {
        const std::string name = *model.find("file")->string();
        const auto runner = make(data_folder + "/" + name, true);
        for (const Json& prompt : *model.find("prompts")->array()) {
            const auto expected = ids(*prompt.find("greedy"));
            EXPECT_EQ(greedy(*runner, ids(*prompt.find("tokens")), expected.size()), expected)
                << name;
        }
    }
}

/// F32, F16 and BF16 as they are in the file. The oracle rounds what meets BF16, and keys and
/// values to halves; without the one or the other its logits are up to 0.01 from these.
TEST(Truth, PlainNumbersAsTheyAreGiveTheTokensOfTheirOracle) {
    const Json prompts = golden("tiny_rounded.json");
    const auto runner = make(data_folder + "/tiny_plain.gguf", false);
    for (const Json& prompt : *prompts.array()) {
        const auto tokens = ids(*prompt.find("tokens"));
        const auto expected = ids(*prompt.find("greedy"));
        EXPECT_EQ(greedy(*runner, tokens, expected.size()), expected);
        const auto seq = runner->open({{2, 1}, tokens, static_cast<uint32_t>(tokens.size())});
        const auto last = advance(*runner, *seq, tokens).back();
        runner->close(*seq, Keep::Nothing);
        const auto& logits = *prompt.find("last_logits")->array();
        ASSERT_EQ(last.size(), logits.size());
        for (size_t i = 0; i < logits.size(); ++i)
            EXPECT_NEAR(last[i], logits[i].number(), 0.001) << i;
    }
}

TEST(Truth, StretchedRotaryPositionsGiveTheLogitsOfTransformers) {
    const Json cases = golden("tiny_rope.json");
    const auto file = GgufFile::open(data_folder + "/tiny_plain.gguf");
    ASSERT_TRUE(file);
    for (const Json& one : *cases.array()) {
        const std::string name = *one.find("name")->string();
        const Json& rope = *one.find("rope");
        const auto number = [&](const char* key, float otherwise) {
            const Json* found = rope.find(key);
            return found == nullptr ? otherwise : static_cast<float>(found->number());
        };
        ModelConfig config = *model_config_from_gguf(**file);
        RopeScaling& scaling = config.rope_scaling;
        scaling.factor = number("factor", 1);
        scaling.original_max_position_embeddings =
            static_cast<uint32_t>(number("original_max_position_embeddings", 0));
        if (name == "linear") scaling.type = RopeScaling::Type::Linear;
        if (name.starts_with("yarn")) {
            scaling.type = RopeScaling::Type::Yarn;
            scaling.attn_factor =
                number("attention_factor", 0.1F * std::log(scaling.factor) + 1.0F);
            scaling.beta_fast = number("beta_fast", 32);
            scaling.beta_slow = number("beta_slow", 1);
        }
        if (const Json* factors = one.find("freq_factors"))
            for (const Json& factor : *factors->array())
                scaling.freq_factors.push_back(static_cast<float>(factor.number()));
        auto runner =
            make_native_runner(config, PlainWeights(**file), {.threads = 1, .kv_tokens = 1024});
        ASSERT_TRUE(runner) << runner.error().message;
        const auto tokens = ids(*one.find("tokens"));
        const auto expected = ids(*one.find("greedy"));
        EXPECT_EQ(greedy(**runner, tokens, expected.size()), expected) << name;
        const auto seq = (*runner)->open({{2, 1}, tokens, static_cast<uint32_t>(tokens.size())});
        const auto rows = advance(**runner, *seq, tokens);
        const auto& logits = *one.find("last_logits")->array();
        ASSERT_EQ(rows.back().size(), logits.size());
        // Keys and values are stored as halves; another rotation would be off by tenths.
        for (size_t i = 0; i < logits.size(); ++i)
            EXPECT_NEAR(rows.back()[i], logits[i].number(), 0.01) << name << " " << i;
    }
}

TEST(Truth, TheDefaultModelInPlainNumbersGivesTheTokensOfTransformers) {
    const Json json = golden("smollm2_135m_q4_1.json");
    const auto runner = make(default_model, true);
    for (const Json& prompt : *json.find("prompts")->array()) {
        const auto expected = ids(*prompt.find("greedy"));
        EXPECT_EQ(greedy(*runner, ids(*prompt.find("tokens")), expected.size()), expected)
            << *prompt.find("text")->string();
    }
}

/// How far `other` is from the distribution `from`, in nats (Kullback and Leibler).
double divergence(std::span<const float> from, std::span<const float> other) {
    const double a = log_sum(from);
    const double b = log_sum(other);
    double sum = 0;
    for (size_t i = 0; i < from.size(); ++i) {
        const double log_p = from[i] - a;
        sum += std::exp(log_p) * (log_p - (other[i] - b));
    }
    return sum;
}

/// One way to compute a file.
struct Way {
    bool plain;
    KvType type = KvType::F16;
};
/// What another way than the first does to the predictions along some tokens.
struct Beside {
    double first, other;  // perplexities
    double distance;      // of the distributions, in nats
    double ratio() const { return other / first; }
};
Beside compare(const std::string& path, Way first, Way other, const std::vector<TokenId>& tokens) {
    std::unique_ptr<Runner> runners[] = {make(path, first.plain, first.type),
                                         make(path, other.plain, other.type)};
    SeqId seqs[2];
    for (size_t r = 0; r < 2; ++r)
        seqs[r] = *runners[r]->open({{1, 1}, tokens, static_cast<uint32_t>(tokens.size())});
    double loss[2] = {};
    double distance = 0;
    for (size_t begin = 0; begin + 1 < tokens.size();) {
        const auto rest =
            std::span(tokens).subspan(begin, std::min<size_t>(64, tokens.size() - begin));
        const auto a = advance(*runners[0], seqs[0], rest);
        const auto b = advance(*runners[1], seqs[1], rest);
        for (size_t i = 0; i < a.size() && begin + i + 1 < tokens.size(); ++i) {
            const auto next = static_cast<size_t>(tokens[begin + i + 1]);
            loss[0] += log_sum(a[i]) - static_cast<double>(a[i][next]);
            loss[1] += log_sum(b[i]) - static_cast<double>(b[i][next]);
            distance += divergence(a[i], b[i]);
        }
        begin += a.size();
    }
    const auto predictions = static_cast<double>(tokens.size() - 1);
    const Beside out{std::exp(loss[0] / predictions), std::exp(loss[1] / predictions),
                     distance / predictions};
    const auto name = [](Way way) {
        return std::string(way.plain ? "plain" : "as it is") +
               (way.type == KvType::Int8 ? ", KV in bytes" : "");
    };
    std::printf("%s: perplexity %.5f %s, %.5f %s, ratio %.5f; %.6f nats apart\n", path.c_str(),
                out.first, name(first).c_str(), out.other, name(other).c_str(), out.ratio(),
                out.distance);
    return out;
}

/// A text of a random model: what it chooses itself.
std::vector<TokenId> own_text(const Json& model, const std::string& path) {
    std::vector<TokenId> tokens = ids(*model.find("prompts")->array()->front().find("tokens"));
    for (const TokenId token : greedy(*make(path, true), tokens, 300)) tokens.push_back(token);
    return tokens;
}

constexpr Way kPlain{.plain = true}, kAsItIs{.plain = false};

TEST(Truth, TheDefaultModelAsItIsHasThePerplexityOfTransformers) {
    const Json json = golden("smollm2_135m_q4_1.json");
    const Beside found = compare(default_model, kPlain, kAsItIs, ids(*json.find("text_tokens")));
    EXPECT_NEAR(found.other / json.find("perplexity")->number(), 1.0, 0.005);
    EXPECT_NEAR(found.ratio(), 1.0, 0.005);
    EXPECT_LT(found.distance, 0.02);
}

/// Activations are rounded for every block format; these files hold all of them.
TEST(Truth, QuantizedActivationsHaveThePerplexityOfPlainOnes) {
    const Json models = golden("tiny_llama.json");
    for (const Json& model : *models.array()) {
        const std::string path = data_folder + "/" + *model.find("file")->string();
        const Beside found = compare(path, kPlain, kAsItIs, own_text(model, path));
        EXPECT_NEAR(found.ratio(), 1.0, 0.005) << path;
    }
}

/// In plain numbers, so that only the keys and values differ. Quantized activations turn the
/// smallest change into another of the same size, whatever caused it: 0.1 nats at a token either
/// way. So as the file is, the distributions are held together, and the perplexity by less.
TEST(Truth, KeysAndValuesInBytesHaveThePerplexityOfHalves) {
    constexpr Way kPlainBytes{true, KvType::Int8}, kBytes{false, KvType::Int8};
    const auto text = ids(*golden("smollm2_135m_q4_1.json").find("text_tokens"));
    const auto plain = compare(default_model, kPlain, kPlainBytes, text);
    EXPECT_NE(plain.distance, 0.0);
    EXPECT_NEAR(plain.ratio(), 1.0, 0.002);
    EXPECT_LT(plain.distance, 0.0015);
    const auto quantized = compare(default_model, kAsItIs, kBytes, text);
    EXPECT_NEAR(quantized.ratio(), 1.0, 0.01);
    EXPECT_LT(quantized.distance, 0.01);
    // Random models have many tokens that are as good as others.
    const Json models = golden("tiny_llama.json");
    for (const Json& model : *models.array()) {
        const std::string path = data_folder + "/" + *model.find("file")->string();
        const auto tiny = compare(path, kPlain, kPlainBytes, own_text(model, path));
        EXPECT_NEAR(tiny.ratio(), 1.0, 0.01) << path;
        EXPECT_LT(tiny.distance, 0.0005) << path;
    }
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 4) {
        std::fprintf(stderr, "usage: truth_test GOLDEN_FOLDER DATA_FOLDER DEFAULT_MODEL.gguf\n");
        return 2;
    }
    dunlin::golden_folder = argv[1];
    dunlin::data_folder = argv[2];
    dunlin::default_model = argv[3];
    return RUN_ALL_TESTS();
}
