#include "base/cores.h"

#include <fstream>
#include <set>

namespace dunlin {

uint32_t count_cores(std::span<const uint32_t> processors, const std::string& root) {
    std::set<std::string> cores;
    for (const uint32_t processor : processors) {
        const std::string name = std::to_string(processor);
        // The processors of the same core, "0,32" or "0-1": the same text for each of them.
        std::ifstream file(root + "/cpu" + name + "/topology/thread_siblings_list");
        std::string siblings;
        cores.insert(std::getline(file, siblings) ? siblings : "processor " + name);
    }
    return static_cast<uint32_t>(cores.size());
}

}  // namespace dunlin
