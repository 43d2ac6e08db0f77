// Stands in for llamacpp_runner.cpp in a build without llama.cpp.

#include "runner/llamacpp/llamacpp_runner.h"

namespace dunlin {

Expected<std::unique_ptr<Runner>> make_llamacpp_runner(const std::string&,
                                                       const LlamaCppSettings&) {
    return fail(Code::Unsupported,
                "this build is without llama.cpp: build the preset that has it with "
                "`cmake --preset full && cmake --build --preset full --target dunlin`");
}

}  // namespace dunlin
