// Stands in for the other files of this folder in a build without llama.cpp.

#include "runner/llamacpp/architectures.h"
#include "runner/llamacpp/devices.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/llamacpp/vocabulary.h"

namespace dunlin {
namespace {

std::unexpected<Error> without() {
    return fail(Code::Unsupported,
                "this build is without llama.cpp: build the preset that has it with "
                "`cmake --preset full && cmake --build --preset full --target dunlin`");
}

}  // namespace

std::vector<LlamaCppDevice> llamacpp_devices() {
    return {};
}
std::vector<std::string> llamacpp_architectures() {
    return {};
}
std::string llamacpp_obstacle(const GgufFile&) {
    return {};
}

Expected<std::unique_ptr<Runner>> make_llamacpp_runner(const std::string&,
                                                       const LlamaCppSettings&) {
    return without();
}

Expected<std::unique_ptr<LlamaCppVocabulary>> load_llamacpp_vocabulary(const std::string&) {
    return without();
}

}  // namespace dunlin
