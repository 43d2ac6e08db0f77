#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "runner/fake/fake_runner.h"

namespace dunlin {

/// The model that is none, for tests of everything around one.
struct FakeModel {
    FakeSettings runner;
    uint32_t load_ms = 0;    // how long a load takes
    uint32_t fail_load = 0;  // 1: loads fail
    uint32_t hosted = 0;     // 1: in a process of its own
};

/// Whether a model's path means the fake one: "fake", or "fake:" and settings.
bool is_fake_model(std::string_view path);

/// "fake:step_us=1000,sequences_max=2": any field of FakeSettings, or of this.
/// Errors: Invalid with the setting that is unknown or no number.
Expected<FakeModel> parse_fake_model(std::string_view path);

}  // namespace dunlin
