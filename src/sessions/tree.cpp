#include "sessions/tree.h"

#include <algorithm>

#include "base/check.h"

namespace dunlin {

MessageTree::MessageTree(std::vector<MessageLink> links) : links_(std::move(links)) {
    CHECK(links_.size() < kNone);
    parents_.reserve(links_.size());
    for (uint32_t i = 0; i < links_.size(); ++i) {
        parents_.push_back(index_of(links_[i].parent));
        indices_.emplace(links_[i].id, i);
        children_[links_[i].parent].push_back(i);
    }
}

uint32_t MessageTree::index_of(std::string_view id) const {
    const auto found = indices_.find(id);
    return found == indices_.end() ? kNone : found->second;
}

const MessageLink* MessageTree::find(std::string_view id) const {
    const uint32_t index = index_of(id);
    return index == kNone ? nullptr : &links_[index];
}

std::vector<std::string> MessageTree::path(std::string_view id) const {
    std::vector<std::string> out;
    // Ends, because a parent's index is below its child's.
    for (uint32_t i = index_of(id); i != kNone; i = parents_[i]) out.push_back(links_[i].id);
    std::reverse(out.begin(), out.end());
    return out;
}

std::vector<std::string> MessageTree::siblings(std::string_view id) const {
    const MessageLink* const link = find(id);
    CHECK(link != nullptr);
    std::vector<std::string> out;
    for (const uint32_t i : children_.at(link->parent)) out.push_back(links_[i].id);
    return out;
}

size_t MessageTree::children(std::string_view id) const {
    const auto found = children_.find(id);
    return found == children_.end() ? 0 : found->second.size();
}

std::string MessageTree::newest_end(std::string_view id) const {
    const uint32_t top = index_of(id);
    CHECK(top != kNone);
    uint32_t newest = top;
    std::vector<bool> below(links_.size(), false);
    below[top] = true;
    for (uint32_t i = top + 1; i < links_.size(); ++i) {
        if (parents_[i] == kNone || !below[parents_[i]]) continue;
        below[i] = true;
        newest = i;
    }
    return links_[newest].id;
}

const MessageLink* MessageTree::question_of(std::string_view id) const {
    for (uint32_t i = index_of(id); i != kNone; i = parents_[i])
        if (links_[i].role == "user") return &links_[i];
    return nullptr;
}

}  // namespace dunlin
