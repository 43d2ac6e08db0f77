#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sessions/session_store.h"

namespace dunlin {

/// The messages of a session as a tree. Pure: it reads no store and changes nothing.
class MessageTree {
 public:
    /// REQUIRES: as SessionStore::links() gives them, parents before their children.
    explicit MessageTree(std::vector<MessageLink> links);
    MessageTree(const MessageTree&) = delete;
    MessageTree& operator=(const MessageTree&) = delete;
    MessageTree(MessageTree&&) = default;
    MessageTree& operator=(MessageTree&&) = default;

    const std::vector<MessageLink>& links() const { return links_; }
    /// nullptr where there is none.
    const MessageLink* find(std::string_view id) const;
    /// The ids from the first message down to `id`; empty where there is no such message.
    std::vector<std::string> path(std::string_view id) const;
    /// Ids of the messages with the same parent, oldest first. REQUIRES: the message is there.
    std::vector<std::string> siblings(std::string_view id) const;
    /// How many messages have it as their parent.
    size_t children(std::string_view id) const;
    /// The newest of the message and all below it, which is an end of a branch.
    /// REQUIRES: the message is there.
    std::string newest_end(std::string_view id) const;
    /// The nearest question at or above `id`; nullptr where there is none.
    const MessageLink* question_of(std::string_view id) const;

 private:
    static constexpr uint32_t kNone = UINT32_MAX;
    uint32_t index_of(std::string_view id) const;

    std::vector<MessageLink> links_;
    std::vector<uint32_t> parents_;  // index of each one's parent, below its own
    // The keys are views into links_, whose strings stay where they are.
    std::unordered_map<std::string_view, uint32_t> indices_;
    std::unordered_map<std::string_view, std::vector<uint32_t>> children_;  // by the parent's id
};

}  // namespace dunlin
