#include <cstdio>
#include <memory>
#include <variant>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "base/log.h"
#include "formats/gguf.h"

namespace dunlin {
namespace {

constexpr size_t kShownBytesMax = 100;

struct Show {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t n) const { return std::to_string(n); }
    std::string operator()(uint64_t n) const { return std::to_string(n); }
    std::string operator()(double x) const { return std::to_string(x); }
    std::string operator()(std::string_view text) const {
        const bool cut = text.size() > kShownBytesMax;
        return "\"" + log_escape(text.substr(0, kShownBytesMax)) + (cut ? "...\"" : "\"");
    }
    template <class T>
    std::string operator()(const std::vector<T>& items) const {
        return "[" + std::to_string(items.size()) + " values]";
    }
};

void inspect(const std::string& path) {
    const auto file = GgufFile::open(path);
    if (!file) exit_with(file.error());
    std::printf("%s: GGUF version %u, %llu bytes\n\n", path.c_str(), (*file)->version(),
                static_cast<unsigned long long>((*file)->file_bytes()));
    for (const auto key : (*file)->keys())
        std::printf("%-44s %s\n", std::string(key).c_str(),
                    std::visit(Show{}, *(*file)->value(key)).c_str());
    std::printf("\n");
    for (const auto name : (*file)->names()) {
        const TensorView& tensor = *(*file)->find(name);
        std::printf("%-32s %-5s %6llu x %-6llu %12zu bytes\n", std::string(name).c_str(),
                    std::string(to_string(tensor.dtype)).c_str(),
                    static_cast<unsigned long long>(tensor.shape.columns()),
                    static_cast<unsigned long long>(tensor.shape.rows()), tensor.data.size());
    }
}

}  // namespace

void add_inspect(CLI::App& command) {
    const auto path = std::make_shared<std::string>();
    command.add_option("MODEL", *path, "A GGUF file")->required();
    command.callback([path] { inspect(*path); });
}

}  // namespace dunlin
