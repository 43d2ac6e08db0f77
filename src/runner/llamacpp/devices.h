#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin {

/// A device beside the CPU that llama.cpp can compute on.
struct LlamaCppDevice {
    std::string name;         // as settings write it: "cuda0", "vulkan0", "metal0"
    std::string kind;         // "cuda", "rocm", "vulkan", "metal"
    std::string description;  // "NVIDIA GeForce RTX 4090"
    bool is_gpu = false;      // false: it only looks like one, as Mesa's lavapipe does
    uint64_t memory_bytes_free = 0, memory_bytes_total = 0;
    std::string library_name = {};  // as llama.cpp itself calls it: "CUDA0", "MTL0"
};

/// What this build of llama.cpp finds here; empty without llama.cpp or for the CPU alone. Starts
/// the drivers, which may take a second. [any thread]
std::vector<LlamaCppDevice> llamacpp_devices();

}  // namespace dunlin
