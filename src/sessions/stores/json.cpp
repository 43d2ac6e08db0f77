#include "base/files.h"
#include "sessions/file_format.h"
#include "sessions/stores.h"

namespace dunlin {
namespace {

/// Holds all in memory and writes the whole file with each change.
class JsonStore final : public RowsStore {
 public:
    JsonStore(Rows rows, std::string path) : RowsStore(std::move(rows)), path_(std::move(path)) {}

    Expected<void> keep(const Rows& next) override {
        if (is_unsure_)
            return fail(Code::Io, "the disk failed to store " + path_ +
                                      " before; check it and start again: until then nothing more "
                                      "is written");
        const auto text = write_sessions(next);
        if (!text) return std::unexpected(text.error());
        if (text->size() > kSessionsFileBytesMax)
            return fail(Code::TooLarge,
                        path_ + " would have " + std::to_string(text->size()) + " bytes, and " +
                            std::to_string(kSessionsFileBytesMax) +
                            " are the most that it may have; delete sessions, or set "
                            "sessions.store = \"sqlite\"");
        if (auto written = write_aside(path_, *text); !written) return written;
        auto placed = put_in_place(path_);
        is_unsure_ = !placed;
        return placed;
    }

 private:
    std::string path_;
    bool is_unsure_ = false;
};

}  // namespace

Expected<std::unique_ptr<SessionStore>> open_json_store(const StoreSettings& settings) {
    const std::string path = settings.folder + "/sessions.json";
    const auto text = read_file(path, kSessionsFileBytesMax);
    if (!text) return std::unexpected(text.error());
    if (!*text) return std::make_unique<JsonStore>(Rows{}, path);
    auto file = read_sessions(**text, settings.clock->unix_s());
    if (!file)
        return fail(file.error().code, path + " cannot be read: " + file.error().message +
                                           ". It was left as it is: repair it, put a copy back, or "
                                           "move it away to begin anew");
    Rows rows = file->rows;
    auto store = std::make_unique<JsonStore>(std::move(file->rows), path);
    if (file->is_versioned) return store;
    // The plain form has no ids of messages: they must not differ from one start to the next.
    const std::string kept = path + ".plain";
    auto done = write_aside(kept, **text);
    if (done) done = put_in_place(kept);
    if (done) done = store->keep(rows);
    if (!done) return std::unexpected(done.error());
    return store;
}

}  // namespace dunlin
