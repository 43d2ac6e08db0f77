#include "chat/merged_generation.h"

#include <algorithm>

#include "engine/generation_log.h"

namespace dunlin {
namespace {

class MergedGeneration final : public Generation,
                               public std::enable_shared_from_this<MergedGeneration> {
 public:
    MergedGeneration(std::vector<std::shared_ptr<Generation>> parts, uint32_t choices)
        : choices_(choices), left_(parts.size()) {
        for (auto& part : parts) parts_.push_back({std::move(part), 0});
    }

    size_t read(uint64_t from, size_t events_max, std::vector<Event>& out) const override {
        return log_.read(from, events_max, out);
    }
    void wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) override {
        log_.wake_on_event(from, std::move(once));
    }
    void cancel() noexcept override {
        for (Part& part : parts_) part.generation->cancel();
    }

    /// Copies what a part has, and asks to be called for more.
    void follow(size_t index) {
        Part& part = parts_[index];
        bool ended = false;
        {
            const std::lock_guard lock(mutex_);
            std::vector<Event> events;
            part.next += part.generation->read(part.next, SIZE_MAX, events);
            for (Event& event : events) ended = take(index, std::move(event)) || ended;
        }
        if (ended) return;
        part.generation->wake_on_event(part.next, [weak = weak_from_this(), index]() noexcept {
            if (const auto self = weak.lock()) self->follow(index);
        });
    }

 private:
    struct Part {
        std::shared_ptr<Generation> generation;
        uint64_t next;
    };

    /// Whether the part has ended. REQUIRES: the lock is held.
    bool take(size_t index, Event event) {
        const auto first_choice = static_cast<uint32_t>(index) * choices_;
        if (auto* failed = std::get_if<Failed>(&event)) {
            if (!ended_) log_.append(std::move(*failed));
            ended_ = true;
            cancel();
            return true;
        }
        if (auto* done = std::get_if<Done>(&event)) {
            usage_.prompt_tokens += done->usage.prompt_tokens;
            usage_.cached_tokens += done->usage.cached_tokens;
            usage_.completion_tokens += done->usage.completion_tokens;
            if (--left_ == 0 && !ended_) log_.append(Done{usage_, done->timings});
            return true;
        }
        if (ended_) return false;
        if (auto* text = std::get_if<Text>(&event)) text->choice += first_choice;
        if (auto* finished = std::get_if<Finished>(&event)) finished->choice += first_choice;
        const bool starts = std::holds_alternative<Started>(event);
        if (std::holds_alternative<Waiting>(event) || (starts && started_)) return false;
        started_ = started_ || starts;
        log_.append(std::move(event));
        return false;
    }

    const uint32_t choices_;
    std::vector<Part> parts_;
    std::mutex mutex_;  // guards what follows, and each Part's `next`
    size_t left_;
    bool started_ = false, ended_ = false;
    Usage usage_;
    GenerationLog log_;
};

}  // namespace

std::shared_ptr<Generation> merge_generations(std::vector<std::shared_ptr<Generation>> parts,
                                              uint32_t choices) {
    if (parts.size() == 1) return std::move(parts.front());
    const size_t count = parts.size();
    const auto merged = std::make_shared<MergedGeneration>(std::move(parts), choices);
    for (size_t i = 0; i < count; ++i) merged->follow(i);
    return merged;
}

}  // namespace dunlin
