// The process that the tests of make_process_runner() start, and with an argument those of Service,
// which give it what to put before each answer or "refuse". For a Runner its text is "check" (ends
// itself while it loads), "refuse", "llama.cpp PATH CONTEXT SEQUENCES STEP", or "fake" and numbers,
// in the order of read_fake(). With "while FILE" before that, it loads as long as there is such a
// file.
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "runner/fake/fake_runner.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/process/host.h"
#include "runner/process/service.h"

namespace dunlin {
namespace {

FakeSettings read_fake(std::istream& text) {
    FakeSettings out;
    text >> out.vocabulary >> out.blocks >> out.sequences_max >> out.sequence_tokens_max >>
        out.step_tokens_max >> out.step_us >> out.break_every_steps >> out.fixed_slots >>
        out.rollback_max >> out.parts;
    return out;
}

Expected<std::unique_ptr<Runner>> make(std::string_view spec) {
    std::istringstream text{std::string(spec)};
    std::string kind;
    text >> kind;
    if (kind == "while") {
        std::string file;
        text >> file >> kind;
        while (std::filesystem::exists(file))
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(kind != "check");
    if (kind == "refuse") return fail(Code::Corrupt, "this file is broken");
    if (kind == "fake") return make_fake_runner(read_fake(text));
    std::string path;
    LlamaCppSettings settings{.threads = 1};
    text >> path >> settings.context_tokens_max >> settings.sequences_max >>
        settings.step_tokens_max;
    return make_llamacpp_runner(path, settings);
}

Expected<AnswerText> make_service(std::string_view spec) {
    if (spec == "refuse") return fail(Code::Corrupt, "this cannot be made");
    return [before = std::string(spec)](std::string_view question) -> Expected<std::string> {
        CHECK(question != "end");
        if (question == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
        if (question == "refuse") return fail(Code::Invalid, "not this one");
        return before + std::string(question);
    };
}

}  // namespace
}  // namespace dunlin

int main(int argc, char**) {
    return argc > 1 ? dunlin::host_service(dunlin::make_service)
                    : dunlin::host_runner(dunlin::make);
}
