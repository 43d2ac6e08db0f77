#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <variant>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/fake_model.h"
#include "app/flags.h"
#include "app/load_model.h"
#include "app/models.h"
#include "base/log.h"
#include "formats/gguf.h"
#include "json/json.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

constexpr size_t kShownBytesMax = 100, kShownItemsMax = 3;

/// A value for people: long texts are cut, of arrays the first values.
struct Show {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t n) const { return std::to_string(n); }
    std::string operator()(uint64_t n) const { return std::to_string(n); }
    std::string operator()(double x) const {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%g", x);
        return digits;
    }
    std::string operator()(std::string_view text) const {
        const bool cut = text.size() > kShownBytesMax;
        if (cut) text = text.substr(0, kShownBytesMax);
        return "\"" + log_escape(lossy_utf8(text)) + (cut ? "...\"" : "\"");
    }
    template <class T>
    std::string operator()(const std::vector<T>& items) const {
        std::string out = "[";
        for (size_t i = 0; i < std::min(items.size(), kShownItemsMax); ++i)
            out += (i > 0 ? ", " : "") + (*this)(T(items[i]));
        if (items.size() <= kShownItemsMax) return out + "]";
        return out + ", ...] " + std::to_string(items.size()) + " values";
    }
};

/// A value for programs: all of it.
struct ToJson {
    Json operator()(bool b) const { return b; }
    Json operator()(int64_t n) const { return n; }
    Json operator()(uint64_t n) const { return n; }
    Json operator()(double x) const { return std::isfinite(x) ? Json(x) : Json(); }
    Json operator()(std::string_view text) const { return lossy_utf8(text); }
    template <class T>
    Json operator()(const std::vector<T>& items) const {
        Json::Array out;
        for (const auto& item : items) out.push_back((*this)(T(item)));
        return out;
    }
};

struct TypeTotal {
    uint64_t tensors = 0, elements = 0, bytes = 0;
};

std::map<DType, TypeTotal> totals(const GgufFile& file) {
    std::map<DType, TypeTotal> out;
    for (const auto name : file.names()) {
        const TensorView& tensor = *file.find(name);
        TypeTotal& total = out[tensor.dtype];
        ++total.tensors;
        total.elements += tensor.shape.columns() * tensor.shape.rows();
        total.bytes += tensor.data.size();
    }
    return out;
}

/// Dimensions as the file counts them, fastest first, without the ones behind.
std::vector<uint64_t> dimensions(const Shape& shape) {
    std::vector<uint64_t> out(std::begin(shape.dims), std::end(shape.dims));
    while (out.size() > 1 && out.back() == 1) out.pop_back();
    return out;
}

void print_file_text(const std::string& path, const GgufFile& file, const ModelFacts& facts) {
    std::printf("%s\nGGUF version %u, %" PRIu64 " bytes\n", path.c_str(), file.version(),
                file.file_bytes());
    std::printf("%s, %.1f million parameters, mostly %s, context %u tokens\n\nMetadata\n",
                facts.architecture.empty() ? "no architecture named" : facts.architecture.c_str(),
                static_cast<double>(facts.parameters) / 1e6, facts.quantization.c_str(),
                facts.context_tokens);
    for (const auto key : file.keys())
        std::printf("  %-44s %s\n", lossy_utf8(key).c_str(),
                    std::visit(Show{}, *file.value(key)).c_str());
    std::printf("\nTypes%32s %15s %15s\n", "tensors", "elements", "bytes");
    for (const auto& [dtype, total] : totals(file))
        std::printf("  %-28s %6" PRIu64 " %15" PRIu64 " %15" PRIu64 "%s\n",
                    std::string(to_string(dtype)).c_str(), total.tensors, total.elements,
                    total.bytes, block_format(dtype).computed ? "" : "  cannot be computed");
    std::printf("\nTensors\n");
    for (const auto name : file.names()) {
        const TensorView& tensor = *file.find(name);
        std::string shape;
        for (const uint64_t size : dimensions(tensor.shape))
            shape += (shape.empty() ? "" : " x ") + std::to_string(size);
        std::printf("  %-36s %-7s %-22s %13zu bytes\n", lossy_utf8(name).c_str(),
                    std::string(to_string(tensor.dtype)).c_str(), shape.c_str(),
                    tensor.data.size());
    }
}

void print_file_json(const std::string& path, const GgufFile& file, const ModelFacts& facts) {
    Json metadata(Json::Object{});
    for (const auto key : file.keys())
        metadata.set(lossy_utf8(key), std::visit(ToJson{}, *file.value(key)));
    Json::Array tensors;
    for (const auto name : file.names()) {
        const TensorView& tensor = *file.find(name);
        Json one(Json::Object{});
        one.set("name", lossy_utf8(name))
            .set("type", std::string(to_string(tensor.dtype)))
            .set("shape", ToJson{}(dimensions(tensor.shape)))
            .set("bytes", tensor.data.size());
        tensors.emplace_back(std::move(one));
    }
    Json out(Json::Object{});
    out.set("path", lossy_utf8(path))
        .set("format", "GGUF")
        .set("version", file.version())
        .set("bytes", file.file_bytes())
        .set("architecture", lossy_utf8(facts.architecture))
        .set("parameters", facts.parameters)
        .set("context_tokens", facts.context_tokens)
        .set("metadata", std::move(metadata))
        .set("tensors", std::move(tensors));
    const auto text = write_json(out);
    if (!text) exit_with(text.error());
    std::printf("%s\n", text->c_str());
}

void inspect(const ModelEntry& entry, bool json) {
    const auto file = GgufFile::open(entry.path);
    if (!file) exit_with(file.error());
    const auto facts = inspect_model(entry);
    if (!facts) exit_with(facts.error());
    (json ? print_file_json : print_file_text)(entry.path, **file, *facts);
}

}  // namespace

void add_inspect(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    const auto json = std::make_shared<bool>(false);
    command.add_option("MODEL", flags->model, "A GGUF file, or the name of a listed model")
        ->required();
    command.add_flag("--json", *json,
                     "Print one JSON object, with all metadata and the whole vocabulary");
    add_config_flag(command, flags);
    command.footer("Example: dunlin inspect SmolLM2-135M-Instruct");
    command.callback([flags, json] {
        const LoadedSettings loaded = load_or_exit(*flags);
        const ModelEntry entry = choose_or_exit(*flags, loaded.settings, "MODEL");
        if (is_fake_model(entry.path))
            exit_with({Code::Invalid, "the fake model has no file to inspect"}, 2);
        if (entry.path.empty()) exit_with({Code::NotReady, entry.id + ": " + entry.reason});
        inspect(entry, *json);
    });
}

}  // namespace dunlin
