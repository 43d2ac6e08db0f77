// What the comparisons with committed results share.

#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/ids.h"
#include "gtest/gtest.h"
#include "json/json.h"

namespace dunlin {

/// A whole file.
inline std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A file of results.
inline Json read_golden(const std::string& path) {
    auto json = read_json(contents(path));
    EXPECT_TRUE(json) << path;
    return json ? std::move(*json) : Json();
}

inline std::vector<TokenId> ids(const Json& array) {
    std::vector<TokenId> out;
    for (const Json& one : *array.array()) out.push_back(static_cast<TokenId>(one.number()));
    return out;
}

/// The logarithm of the sum of e^logit: what turns logits into log-probabilities.
inline double log_sum(std::span<const float> logits) {
    const float best = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit - best));
    return std::log(total) + static_cast<double>(best);
}

}  // namespace dunlin
