#include "chat/context.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace dunlin {
namespace {

constexpr uint32_t kStep = 10;
/// Where a context is trimmed, an answer gets this much of it, or a quarter if that is less.
constexpr uint32_t kAnswerTokens = 256;

/// A conversation whose beginning can be left out.
class Trimmable {
 public:
    Trimmable(Engine& engine, const Request& request, std::stop_token stop)
        : engine_(engine), request_(request), stop_(std::move(stop)) {
        const auto* messages = std::get_if<std::vector<Message>>(&request.prompt);
        CHECK(messages != nullptr);
        while (systems_ < messages->size() && (*messages)[systems_].role == "system") ++systems_;
        all_ = *messages;
    }

    uint32_t count() const { return static_cast<uint32_t>(all_.size()) - systems_; }

    /// The nearest cut at or after `omitted` that the rest can begin with.
    uint32_t whole(uint32_t omitted) const {
        const auto is_reply = [&](uint32_t i) {
            const std::string& role = all_[systems_ + i].role;
            return role == "assistant" || role == "tool";
        };
        while (omitted > 0 && omitted + 1 < count() && is_reply(omitted)) ++omitted;
        return omitted;
    }

    /// In steps of ten, and of two where fewer than twenty are left; the last message stays.
    std::vector<uint32_t> cuts(uint32_t from) const {
        std::vector<uint32_t> out;
        for (uint32_t cut = from; cut < count();) {
            out.push_back(whole(cut));
            const uint32_t left = count() - cut;
            cut += left >= 2 * kStep ? kStep : left > 2 ? 2 : left;
        }
        if (out.empty()) out.push_back(from);
        if (count() > 0 && out.back() + 1 < count()) out.push_back(count() - 1);
        return out;
    }

    Expected<std::unique_ptr<Prepared>> prepare(uint32_t omitted) {
        auto& kept =
            request_.prompt.emplace<std::vector<Message>>(all_.begin(), all_.begin() + systems_);
        kept.insert(kept.end(), all_.begin() + systems_ + omitted, all_.end());
        return engine_.prepare(request_, stop_);
    }

    bool leaves_room(const Prepared& prepared) const {
        uint32_t wanted = std::min(kAnswerTokens, engine_.capabilities().sequence_tokens_max / 4);
        if (request_.max_tokens) wanted = std::min(wanted, *request_.max_tokens);
        return prepared.max_tokens() >= wanted;
    }

 private:
    Engine& engine_;
    Request request_;
    std::vector<Message> all_;
    uint32_t systems_ = 0;
    std::stop_token stop_;
};

}  // namespace

uint32_t omitted_messages(uint32_t count, uint32_t keep) {
    if (keep == 0 || count <= keep) return 0;
    return (count - keep) / kStep * kStep;
}

Expected<Fitted> prepare_fitting(Engine& engine, const Request& request, uint32_t omitted,
                                 bool may_trim, const std::stop_token& stop) {
    Trimmable conversation(engine, request, stop);
    const auto cuts = conversation.cuts(omitted);
    auto first = conversation.prepare(cuts.front());
    if (!may_trim || cuts.size() == 1 || (!first && first.error().code != Code::TooLong) ||
        (first && conversation.leaves_room(**first))) {
        if (!first) return std::unexpected(first.error());
        return Fitted{std::move(*first), cuts.front()};
    }
    // The smallest cut that fits: one that is larger always does too. The last is taken as it is.
    std::optional<Fitted> best;
    size_t low = 1, high = cuts.size() - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        auto prepared = conversation.prepare(cuts[middle]);
        if (!prepared && prepared.error().code != Code::TooLong)
            return std::unexpected(prepared.error());
        if (prepared && conversation.leaves_room(**prepared)) {
            best = {std::move(*prepared), cuts[middle]};
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (best) return std::move(*best);
    auto last = conversation.prepare(cuts.back());
    if (!last) return std::unexpected(last.error());
    return Fitted{std::move(*last), cuts.back()};
}

}  // namespace dunlin
