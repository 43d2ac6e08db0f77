// A small file that holds every kind of value, and what becomes of it when any byte is missing or
// wrong: the same contents or one clean error, never anything else.

#include "formats/gguf.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include <unistd.h>

#include "formats/model_config.h"
#include "gtest/gtest.h"

namespace dunlin {
namespace {

/// Writes GGUF the plain way.
class Writer {
 public:
    template <class T>
    Writer& put(T value) {
        const auto* p = reinterpret_cast<const char*>(&value);
        bytes_.append(p, sizeof value);
        return *this;
    }
    Writer& text(std::string_view s) {
        put<uint64_t>(s.size());
        bytes_ += s;
        return *this;
    }
    Writer& key(std::string_view name, uint32_t type) { return text(name).put(type); }
    Writer& tensor(std::string_view name, uint64_t columns, uint64_t rows, uint32_t type,
                   uint64_t offset) {
        return text(name).put<uint32_t>(2).put(columns).put(rows).put(type).put(offset);
    }
    Writer& pad(size_t alignment) {
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
        return *this;
    }
    std::string bytes() const { return bytes_; }

 private:
    std::string bytes_;
};

constexpr size_t kTensors = 2;

std::string small_file() {
    Writer w;
    w.put<uint32_t>(0x46554747).put<uint32_t>(3).put<uint64_t>(kTensors).put<uint64_t>(10);
    w.key("general.architecture", 8).text("llama");
    w.key("a.u8", 0).put<uint8_t>(200);
    w.key("a.i16", 3).put<int16_t>(-5);
    w.key("a.u64", 10).put<uint64_t>(UINT64_MAX);
    w.key("a.f32", 6).put<float>(0.5F);
    w.key("a.bool", 7).put<uint8_t>(1);
    w.key("a.texts", 9).put<uint32_t>(8).put<uint64_t>(2).text("one").text("");
    w.key("a.ints", 9).put<uint32_t>(5).put<uint64_t>(2).put<int32_t>(-1).put<int32_t>(7);
    w.key("a.floats", 9).put<uint32_t>(6).put<uint64_t>(1).put<float>(2.0F);
    w.key("general.alignment", 4).put<uint32_t>(64);
    w.tensor("x", 4, 2, 0, 0).tensor("y", 32, 1, 8, 64).pad(64);
    for (int i = 0; i < 8; ++i) w.put<float>(static_cast<float>(i));
    w.pad(64);
    for (int i = 0; i < 34; ++i) w.put<uint8_t>(static_cast<uint8_t>(i));
    return w.bytes();
}

class GgufTest : public testing::Test {
 protected:
    ~GgufTest() override { unlink(path_.c_str()); }
    Expected<std::unique_ptr<GgufFile>> open(const std::string& bytes) const {
        std::FILE* file = std::fopen(path_.c_str(), "wb");
        std::fwrite(bytes.data(), 1, bytes.size(), file);
        std::fclose(file);
        return GgufFile::open(path_);
    }
    std::string path_ = testing::TempDir() + "gguf_test_" + std::to_string(getpid());
};

TEST_F(GgufTest, ReadsEveryKindOfValue) {
    const auto file = open(small_file());
    ASSERT_TRUE(file) << file.error().message;
    const GgufFile& f = **file;
    EXPECT_EQ(f.get_string("general.architecture"), "llama");
    EXPECT_EQ(f.get_uint("a.u8"), 200U);
    EXPECT_EQ(f.get_uint("a.i16"), std::nullopt);  // negative
    EXPECT_EQ(f.get_uint("a.u64"), UINT64_MAX);
    EXPECT_EQ(f.get_float("a.f32"), 0.5);
    EXPECT_EQ(f.get_bool("a.bool"), true);
    EXPECT_EQ(f.get_string("a.bool"), std::nullopt);
    EXPECT_EQ(*f.get_strings("a.texts"), (std::vector<std::string_view>{"one", ""}));
    EXPECT_EQ(*f.get_ints("a.ints"), (std::vector<int64_t>{-1, 7}));
    EXPECT_EQ(*f.get_floats("a.floats"), std::vector<double>{2.0});
    ASSERT_NE(f.find("y"), nullptr);
    EXPECT_EQ(f.find("y")->dtype, DType::Q8_0);
    EXPECT_EQ(f.find("y")->data[33], std::byte{33});
    float last = 0;
    std::memcpy(&last, f.find("x")->row(1).data() + 12, 4);
    EXPECT_EQ(last, 7.0F);
    EXPECT_EQ(f.find("z"), nullptr);
}

TEST_F(GgufTest, TheOtherByteOrderIsNamed) {
    std::string bytes = small_file();
    std::swap(bytes[4], bytes[7]);
    const auto file = open(bytes);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message.find("big-endian"), std::string::npos) << file.error().message;
}

TEST_F(GgufTest, EveryTruncationIsOneCleanError) {
    const std::string whole = small_file();
    for (size_t size = 0; size < whole.size(); ++size) {
        const auto file = open(whole.substr(0, size));
        ASSERT_FALSE(file) << size;
        ASSERT_EQ(file.error().code, Code::Corrupt) << file.error().message;
    }
}

TEST_F(GgufTest, NoBitFlipDoesHarm) {
    const std::string whole = small_file();
    const size_t header_end = whole.size() - 34 - 64;
    size_t refused = 0;
    for (size_t bit = 0; bit < header_end * 8; ++bit) {
        std::string bytes = whole;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
        const auto file = open(bytes);
        refused += file ? 0 : 1;
        if (!file) continue;
        for (const auto name : (*file)->names()) {
            const TensorView& tensor = *(*file)->find(name);
            ASSERT_EQ(tensor.data.size(), tensor_bytes(tensor.dtype, tensor.shape));
            ASSERT_EQ(tensor.row(tensor.shape.rows() - 1).size(), tensor.row_bytes());
        }
        (void)model_config_from_gguf(**file);
    }
    EXPECT_GT(refused, header_end);  // most flips of counts, types and offsets cannot pass
}

TEST_F(GgufTest, ExtremeNumbersInEveryField) {
    const std::string whole = small_file();
    const size_t header_end = whole.size() - 34 - 64;
    for (const uint64_t value :
         {uint64_t{0}, uint64_t{1}, uint64_t{0x7fffffff}, uint64_t{0x80000000},
          uint64_t{0xffffffff}, uint64_t{1} << 32, uint64_t{1} << 62, (uint64_t{1} << 63) - 1,
          uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 1}) {
        for (size_t at = 8; at + 8 <= header_end; ++at) {
            std::string bytes = whole;
            std::memcpy(&bytes[at], &value, 8);
            const auto file = open(bytes);
            if (!file) {
                ASSERT_FALSE(file.error().message.empty());
            }
        }
    }
}

/// Each lie alone makes the file invalid, and the message says which it was.
TEST_F(GgufTest, RefusesWhatContradictsItself) {
    const struct {
        std::string before, after;  // equally long; the first occurrence is replaced
        const char* message;
    } kLies[] = {
        {"a.u64", "a.f32", "stands twice"},
        {Writer().text("y").bytes(), Writer().text("x").bytes(), "stands twice"},
        {Writer().put<uint32_t>(8).put<uint64_t>(64).bytes(),
         Writer().put<uint32_t>(8).put<uint64_t>(0).bytes(), "overlaps"},
        {Writer().put<uint32_t>(8).put<uint64_t>(64).bytes(),
         Writer().put<uint32_t>(8).put<uint64_t>(32).bytes(), "not aligned"},
        {Writer().put<uint32_t>(8).put<uint64_t>(64).bytes(),
         Writer().put<uint32_t>(8).put<uint64_t>(128).bytes(), "beyond the end"},
        {Writer().put<uint32_t>(9).put<uint32_t>(5).bytes(),
         Writer().put<uint32_t>(9).put<uint32_t>(9).bytes(), "or arrays"},
        {Writer().key("general.alignment", 4).put<uint32_t>(64).bytes(),
         Writer().key("general.alignment", 4).put<uint32_t>(48).bytes(), "power of two"},
        {Writer().put<uint64_t>(32).put<uint64_t>(1).put<uint32_t>(8).bytes(),
         Writer().put<uint64_t>(33).put<uint64_t>(1).put<uint32_t>(8).bytes(), "shape"},
        {"a.bool", "a.b\nol", "printable"},
    };
    for (const auto& [before, after, message] : kLies) {
        std::string bytes = small_file();
        const size_t at = bytes.find(before);
        ASSERT_NE(at, std::string::npos) << message;
        bytes.replace(at, before.size(), after);
        const auto file = open(bytes);
        ASSERT_FALSE(file) << message;
        EXPECT_EQ(file.error().code, Code::Corrupt);
        EXPECT_NE(file.error().message.find(message), std::string::npos) << file.error().message;
    }
}

TEST_F(GgufTest, SaysWhatIsWrong) {
    EXPECT_EQ(GgufFile::open("/nowhere/model.gguf").error().code, Code::Io);
    EXPECT_NE(open("not a model").error().message.find("not a GGUF file"), std::string::npos);
    std::string old = small_file();
    old[4] = 1;
    EXPECT_EQ(open(old).error().code, Code::Unsupported);
    const auto small = open(small_file());
    ASSERT_TRUE(small);
    const auto config = model_config_from_gguf(**small);
    ASSERT_FALSE(config);
    EXPECT_NE(config.error().message.find("'llama."), std::string::npos);
}

/// A llama's metadata with more keys behind, and the tensors that its configuration needs.
std::string small_llama(const std::vector<std::string>& keys, std::string_view factors = {}) {
    Writer w;
    w.put<uint32_t>(0x46554747).put<uint32_t>(3).put<uint64_t>(factors.empty() ? 1 : 2);
    w.put<uint64_t>(6 + keys.size()).key("general.architecture", 8).text("llama");
    for (const auto& [name, value] : {std::pair{"embedding_length", 8U},
                                      {"feed_forward_length", 8U},
                                      {"block_count", 1U},
                                      {"attention.head_count", 2U},
                                      {"context_length", 64U}})
        w.key(std::string("llama.") + name, 4).put<uint32_t>(value);
    std::string bytes = w.bytes();
    for (const auto& key : keys) bytes += key;
    Writer rest;
    rest.tensor("token_embd.weight", 8, 3, 0, 0);
    if (!factors.empty()) rest.tensor(factors, 2, 1, 0, 96);
    bytes += rest.bytes();
    bytes.resize((bytes.size() + 31) / 32 * 32);
    bytes.append(96, '\0');
    if (!factors.empty()) bytes += Writer().put<float>(1).put<float>(8).bytes();
    return bytes;
}
std::string rope(std::string_view name, float value) {
    return Writer().key("llama.rope.scaling." + std::string(name), 6).put(value).bytes();
}
std::string rope_type(std::string_view type) {
    return Writer().key("llama.rope.scaling.type", 8).text(type).bytes();
}

TEST_F(GgufTest, ReadsRopeScalings) {
    const std::string length =
        Writer().key("llama.rope.scaling.original_context_length", 4).put<uint32_t>(16).bytes();
    const auto config = [&](const std::vector<std::string>& keys, std::string_view factors = {}) {
        const auto file = open(small_llama(keys, factors));
        EXPECT_TRUE(file) << file.error().message;
        return model_config_from_gguf(**file);
    };
    const auto plain = config({});
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ(plain->rope_scaling.type, RopeScaling::Type::None);
    EXPECT_EQ(config({rope_type("linear"), rope("factor", 4)})->rope_scaling.factor, 4.0F);
    EXPECT_EQ(config({}, "rope_freqs.weight")->rope_scaling.freq_factors,
              (std::vector<float>{1, 8}));

    const auto yarn = config({rope_type("yarn"), rope("factor", 4), length,
                              rope("yarn_beta_fast", 16), rope("attn_factor", 2)});
    ASSERT_TRUE(yarn) << yarn.error().message;
    EXPECT_EQ(yarn->rope_scaling.type, RopeScaling::Type::Yarn);
    EXPECT_EQ(yarn->rope_scaling.original_max_position_embeddings, 16U);
    EXPECT_EQ(yarn->rope_scaling.beta_fast, 16.0F);
    EXPECT_EQ(yarn->rope_scaling.beta_slow, 1.0F);
    EXPECT_FLOAT_EQ(yarn->rope_scaling.attn_factor, 2 * 1.1386294F);

    EXPECT_EQ(config({rope_type("yarn"), rope("factor", 4)}).error().code, Code::Corrupt);
    EXPECT_EQ(config({rope_type("yarn"), rope("factor", 0), length}).error().code, Code::Corrupt);
    EXPECT_EQ(config({rope_type("yarn"), length, rope("yarn_ext_factor", 0)}).error().code,
              Code::Unsupported);
    const auto unknown = config({rope_type("dynamic")});
    EXPECT_EQ(unknown.error().code, Code::Unsupported);
    EXPECT_NE(unknown.error().message.find("'dynamic'"), std::string::npos);
    EXPECT_NE(config({}, "rope_factors_long.weight").error().message.find("'longrope'"),
              std::string::npos);
}

}  // namespace
}  // namespace dunlin
