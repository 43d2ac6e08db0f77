#include "runner/llamacpp/architectures.h"

#include <algorithm>

#include "llama-arch.h"
#include "llama-hparams.h"

namespace dunlin {
namespace {

constexpr uint64_t kLayersMax = LLAMA_MAX_LAYERS;

/// The library lists these beside the models: no architecture, and the part of a model that sees.
bool is_model(llm_arch architecture) {
    return architecture != LLM_ARCH_UNKNOWN && architecture != LLM_ARCH_CLIP;
}

/// A name out of a file, fit to stand in a sentence.
std::string plain(std::string_view name) {
    constexpr size_t kLongest = 64;
    std::string out(name.substr(0, kLongest));
    std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return out;
}

}  // namespace

std::vector<std::string> llamacpp_architectures() {
    std::vector<std::string> out;
    for (const llm_arch one : llm_arch_all())
        if (is_model(one)) out.emplace_back(llm_arch_name(one));
    std::sort(out.begin(), out.end());
    return out;
}

std::string llamacpp_obstacle(const GgufFile& file) {
    const auto given = file.get_string("general.architecture");
    if (!given)
        return "the file does not say which architecture it has (general.architecture); take "
               "another file of the model";
    const std::string name(*given);
    const llm_arch architecture = llm_arch_from_string(name);
    if (architecture == LLM_ARCH_CLIP)
        return "the file is the part of a model that sees images; name the file of the model "
               "itself";
    if (!is_model(architecture))
        return "llama.cpp does not know the architecture \"" + plain(name) + "\", it knows " +
               std::to_string(llamacpp_architectures().size()) +
               " others, which `dunlin doctor --json` lists; a newer version may know it";
    if (llm_arch_is_diffusion(architecture))
        return std::string("a model of the architecture \"") + name + "\" writes by diffusion; " +
               kOnlyWriters;
    if (file.get_bool(name + ".attention.causal") == false)
        return std::string("the model is for embeddings (each token sees those behind it); ") +
               kOnlyWriters;
    // What the library ends the process over.
    const std::string key = name + ".block_count";
    const auto layers = file.get_uint(key);
    if (layers && (*layers == 0 || *layers > kLayersMax))
        return "metadata '" + key + "' is " + std::to_string(*layers) +
               ", and llama.cpp takes 1 to " + std::to_string(kLayersMax) +
               " layers; is the file damaged?";
    return {};
}

}  // namespace dunlin
