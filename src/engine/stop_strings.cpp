#include "engine/stop_strings.h"

#include <algorithm>

namespace dunlin {

std::string StopStrings::push(std::string_view piece) {
    held_ += piece;
    size_t first = std::string::npos;
    for (const std::string& stop : stops_) {
        const size_t at = stop.empty() ? std::string::npos : held_.find(stop);
        if (at < first) {
            first = at;
            matched_ = stop;
        }
    }
    if (first != std::string::npos) {
        held_.resize(first);
        return finish();
    }
    // The longest end of the text that begins a stop string.
    size_t keep = 0;
    for (const std::string& stop : stops_)
        for (size_t n = std::min(stop.size(), held_.size() + 1); n-- > keep + 1;)
            if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, n))) keep = n;
    std::string out = held_.substr(0, held_.size() - keep);
    held_.erase(0, out.size());
    return out;
}

}  // namespace dunlin
