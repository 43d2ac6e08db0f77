#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "formats/weight_source.h"

namespace dunlin {

/// A value of GGUF metadata. Strings are views into the mapped file. Arrays keep their element
/// type widened: all integers to int64 (uint64 values above that are refused), floats to double.
using GgufValue =
    std::variant<int64_t, uint64_t, double, bool, std::string_view, std::vector<int64_t>,
                 std::vector<double>, std::vector<bool>, std::vector<std::string_view>>;

/// A GGUF file, version 2 or 3, little-endian, by memory map. Format:
/// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
///
/// open() checks everything before anything is used: counts against the bytes that remain, sizes
/// without wrapping, names unique, every tensor inside the file, aligned and not overlapping.
/// Errors: Io; Corrupt and Unsupported, which name the field and its offset.
///
/// A file that is cut short or written again while it is open never ends the process: what is gone
/// reads as zero (see MappedFile). Nothing may be trusted then, so a loader that has packed the
/// tensors asks check_unchanged() before it uses them. After that the file is closed: packed
/// weights, tokenizer and template are copies, and nothing reads the map while a model serves.
/// Immutable after open(). [any thread]
class GgufFile final : public WeightSource {
 public:
    static Expected<std::unique_ptr<GgufFile>> open(const std::string& path);
    ~GgufFile() override;

    /// Errors: Corrupt where the file changed since open().
    Expected<void> check_unchanged() const;

    uint32_t version() const;
    uint64_t file_bytes() const;

    /// The value under `key`, or nullptr.
    const GgufValue* value(std::string_view key) const;
    std::vector<std::string_view> keys() const;  // in file order

    /// Typed access: nothing where the key is absent or holds something else. Integers of any
    /// width convert where they fit.
    std::optional<uint64_t> get_uint(std::string_view key) const;
    std::optional<double> get_float(std::string_view key) const;
    std::optional<bool> get_bool(std::string_view key) const;
    std::optional<std::string_view> get_string(std::string_view key) const;
    const std::vector<std::string_view>* get_strings(std::string_view key) const;
    const std::vector<int64_t>* get_ints(std::string_view key) const;
    const std::vector<double>* get_floats(std::string_view key) const;

    const TensorView* find(std::string_view name) const override;
    std::vector<std::string_view> names() const override;  // in file order
    void release(const TensorView& tensor) const override;

 private:
    struct State;
    explicit GgufFile(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace dunlin
