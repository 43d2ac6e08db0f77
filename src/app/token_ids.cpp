#include "app/token_ids.h"

#include <charconv>
#include <memory>

namespace dunlin {

std::optional<std::vector<TokenId>> parse_token_ids(std::string_view text) {
    std::vector<TokenId> out;
    while (true) {
        auto item = text.substr(0, text.find(','));
        const bool last = item.size() == text.size();
        if (!last) text.remove_prefix(item.size() + 1);
        while (item.starts_with(' ')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        TokenId id = 0;
        const char* const end = std::to_address(item.end());
        const auto [at, error] = std::from_chars(std::to_address(item.begin()), end, id);
        if (error != std::errc() || at != end || id < 0) return std::nullopt;
        out.push_back(id);
        if (last) return out;
    }
}

std::string to_text(const std::vector<TokenId>& ids) {
    std::string out;
    for (const TokenId id : ids) out += (out.empty() ? "" : ",") + std::to_string(id);
    return out;
}

Json to_json(const std::vector<TokenId>& ids) {
    Json::Array out;
    for (const TokenId id : ids) out.emplace_back(id);
    return out;
}

}  // namespace dunlin
