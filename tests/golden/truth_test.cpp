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
        // As F32; and those of plain numbers as they are in the file too: the same bits.
        for (const bool plain : {true, false}) {
            if (!plain && name != "tiny_plain.gguf") continue;
            const auto runner = make(data_folder + "/" + name, plain);
            for (const Json& prompt : *model.find("prompts")->array()) {
                const auto expected = ids(*prompt.find("greedy"));
                EXPECT_EQ(greedy(*runner, ids(*prompt.find("tokens")), expected.size()), expected)
                    << name;
            }
        }
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
        auto runner = make_native_runner(config, **file, {.threads = 1, .kv_tokens = 1024});
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

TEST(Truth, TheDefaultModelAsItIsHasThePerplexityOfTransformers) {
    const Json json = golden("smollm2_135m_q4_1.json");
    const auto tokens = ids(*json.find("text_tokens"));
    const auto runner = make(default_model, false);
    const auto plain_runner = make(default_model, true);
    const SequenceSpec spec{{1, 1}, tokens, static_cast<uint32_t>(tokens.size())};
    const auto seq = runner->open(spec);
    const auto plain_seq = plain_runner->open(spec);
    ASSERT_TRUE(seq && plain_seq);
    double loss = 0;
    double distance = 0;
    for (size_t begin = 0; begin + 1 < tokens.size();) {
        const auto rest =
            std::span(tokens).subspan(begin, std::min<size_t>(64, tokens.size() - begin));
        const auto rows = advance(*runner, *seq, rest);
        const auto plain_rows = advance(*plain_runner, *plain_seq, rest);
        for (size_t i = 0; i < rows.size() && begin + i + 1 < tokens.size(); ++i) {
            const auto next = static_cast<size_t>(tokens[begin + i + 1]);
            loss += log_sum(rows[i]) - static_cast<double>(rows[i][next]);
            distance += divergence(plain_rows[i], rows[i]);
        }
        begin += rows.size();
    }
    const auto predictions = static_cast<double>(tokens.size() - 1);
    const double perplexity = std::exp(loss / predictions);
    const double expected = json.find("perplexity")->number();
    std::printf("perplexity %.5f, transformers %.5f, ratio %.5f; %.5f nats from plain numbers\n",
                perplexity, expected, perplexity / expected, distance / predictions);
    EXPECT_NEAR(perplexity / expected, 1.0, 0.005);
    EXPECT_LT(distance / predictions, 0.02);
}

/// What keeping keys and values in bytes does to the predictions along some tokens.
struct BytesBesideHalves {
    double halves, bytes;  // perplexities
    double distance;       // of the distributions, in nats
};
BytesBesideHalves compare_kept(const std::string& path, bool plain,
                               const std::vector<TokenId>& tokens) {
    std::unique_ptr<Runner> runners[] = {make(path, plain), make(path, plain, KvType::Int8)};
    SeqId seqs[2];
    for (size_t r = 0; r < 2; ++r)
        seqs[r] = *runners[r]->open({{1, 1}, tokens, static_cast<uint32_t>(tokens.size())});
    double loss[2] = {};
    double distance = 0;
    for (size_t begin = 0; begin + 1 < tokens.size();) {
        const auto rest =
            std::span(tokens).subspan(begin, std::min<size_t>(64, tokens.size() - begin));
        const auto halves = advance(*runners[0], seqs[0], rest);
        const auto bytes = advance(*runners[1], seqs[1], rest);
        for (size_t i = 0; i < halves.size() && begin + i + 1 < tokens.size(); ++i) {
            const auto next = static_cast<size_t>(tokens[begin + i + 1]);
            loss[0] += log_sum(halves[i]) - static_cast<double>(halves[i][next]);
            loss[1] += log_sum(bytes[i]) - static_cast<double>(bytes[i][next]);
            distance += divergence(halves[i], bytes[i]);
        }
        begin += halves.size();
    }
    const auto predictions = static_cast<double>(tokens.size() - 1);
    const BytesBesideHalves out{std::exp(loss[0] / predictions), std::exp(loss[1] / predictions),
                                distance / predictions};
    std::printf("%s%s: perplexity %.5f, in bytes %.5f, ratio %.5f; %.6f nats apart\n",
                plain ? "plain " : "", path.c_str(), out.halves, out.bytes, out.bytes / out.halves,
                out.distance);
    return out;
}

/// In plain numbers, so that only the keys and values differ. Quantized activations turn the
/// smallest change into another of the same size, whatever caused it: 0.1 nats at a token either
/// way. So as the file is, the distributions are held together, and the perplexity by less.
TEST(Truth, KeysAndValuesInBytesHaveThePerplexityOfHalves) {
    const auto text = ids(*golden("smollm2_135m_q4_1.json").find("text_tokens"));
    const auto plain = compare_kept(default_model, true, text);
    EXPECT_NE(plain.distance, 0.0);
    EXPECT_NEAR(plain.bytes / plain.halves, 1.0, 0.002);
    EXPECT_LT(plain.distance, 0.0015);
    const auto quantized = compare_kept(default_model, false, text);
    EXPECT_NEAR(quantized.bytes / quantized.halves, 1.0, 0.01);
    EXPECT_LT(quantized.distance, 0.01);
    // These are random, and a text of theirs is what they choose themselves: short, with many
    // tokens that are as good as others.
    const Json models = golden("tiny_llama.json");
    for (const Json& model : *models.array()) {
        const std::string path = data_folder + "/" + *model.find("file")->string();
        const auto prompt = ids(*model.find("prompts")->array()->front().find("tokens"));
        std::vector<TokenId> tokens = prompt;
        for (const TokenId token : greedy(*make(path, true), prompt, 300)) tokens.push_back(token);
        const auto tiny = compare_kept(path, true, tokens);
        EXPECT_NEAR(tiny.bytes / tiny.halves, 1.0, 0.01) << path;
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
