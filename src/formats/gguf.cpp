// Reading a GGUF file. The file is untrusted: a cursor hands out bytes only while they are there, a
// count is compared with the bytes that remain before anything is allocated for it, and every
// tensor is checked against the file before any can be used.

#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "base/checked.h"
#include "base/os.h"

namespace dunlin {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place");

constexpr uint64_t kNameBytesMax = 1024;
constexpr uint64_t kAlignmentMax = 1 << 20;

enum class ValueType : uint32_t {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64
};

/// Reads little-endian values one after another and remembers the first failure.
class Cursor {
 public:
    explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    size_t offset() const { return offset_; }
    size_t remaining() const { return bytes_.size() - offset_; }

    template <class T>
    Expected<T> read(const char* what) {
        if (remaining() < sizeof(T)) return ends(what);
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof value);
        offset_ += sizeof value;
        return value;
    }

    Expected<std::string_view> read_string(const char* what) {
        const auto size = read<uint64_t>(what);
        if (!size) return std::unexpected(size.error());
        if (*size > remaining()) return ends(what);
        const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + offset_, *size);
        offset_ += *size;
        return text;
    }

    /// The name of a key or tensor: names stand in messages, so nothing in them may break a line.
    Expected<std::string_view> read_name(const char* what) {
        const auto name = read_string(what);
        if (!name) return name;
        const auto printable = [](char c) { return c > ' ' && c <= '~'; };
        if (name->empty() || name->size() > kNameBytesMax || !std::ranges::all_of(*name, printable))
            return corrupt(std::string(what) + " is not 1 to 1024 printable ASCII characters");
        return name;
    }

    std::unexpected<Error> corrupt(const std::string& what) const {
        return fail(Code::Corrupt, what + " (at byte " + std::to_string(offset_) + ")");
    }

 private:
    std::unexpected<Error> ends(const char* what) const {
        return corrupt(std::string("the file ends inside ") + what);
    }
    std::span<const std::byte> bytes_;
    size_t offset_ = 0;
};

size_t bytes_of(ValueType type) {
    switch (type) {
        case ValueType::U8:
        case ValueType::I8:
        case ValueType::Bool:
            return 1;
        case ValueType::U16:
        case ValueType::I16:
            return 2;
        case ValueType::U32:
        case ValueType::I32:
        case ValueType::F32:
            return 4;
        default:
            return 8;  // also the least that a string or array takes
    }
}

template <class T>
Expected<GgufValue> read_number(Cursor& cursor) {
    const auto value = cursor.read<T>("a metadata value");
    if (!value) return std::unexpected(value.error());
    if constexpr (std::is_floating_point_v<T>)
        return GgufValue(static_cast<double>(*value));
    else if constexpr (std::is_same_v<T, uint64_t>)
        return GgufValue(*value);
    else
        return GgufValue(static_cast<int64_t>(*value));
}

Expected<GgufValue> read_scalar(Cursor& cursor, ValueType type) {
    switch (type) {
        case ValueType::U8:
            return read_number<uint8_t>(cursor);
        case ValueType::I8:
            return read_number<int8_t>(cursor);
        case ValueType::U16:
            return read_number<uint16_t>(cursor);
        case ValueType::I16:
            return read_number<int16_t>(cursor);
        case ValueType::U32:
            return read_number<uint32_t>(cursor);
        case ValueType::I32:
            return read_number<int32_t>(cursor);
        case ValueType::U64:
            return read_number<uint64_t>(cursor);
        case ValueType::I64:
            return read_number<int64_t>(cursor);
        case ValueType::F32:
            return read_number<float>(cursor);
        case ValueType::F64:
            return read_number<double>(cursor);
        case ValueType::Bool: {
            const auto value = cursor.read<uint8_t>("a metadata value");
            if (!value) return std::unexpected(value.error());
            if (*value > 1) return cursor.corrupt("a truth value is neither 0 nor 1");
            return GgufValue(*value == 1);
        }
        case ValueType::String: {
            const auto value = cursor.read_string("a metadata string");
            if (!value) return std::unexpected(value.error());
            return GgufValue(*value);
        }
        default:
            return cursor.corrupt("a metadata value has an unknown type");
    }
}

/// Reads `count` scalars into a vector of T; `Held` is what read_scalar gives for them.
template <class T, class Held = T>
Expected<GgufValue> read_elements(Cursor& cursor, ValueType type, uint64_t count) {
    std::vector<T> out;
    out.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
        auto value = read_scalar(cursor, type);
        if (!value) return std::unexpected(value.error());
        if (const auto* wide = std::get_if<uint64_t>(&*value)) {
            if constexpr (std::is_same_v<T, int64_t>) {
                const auto narrow = checked_cast<int64_t>(*wide);
                if (!narrow) return cursor.corrupt("an array element is above 2^63 - 1");
                out.push_back(*narrow);
            }
        } else {
            out.push_back(std::get<Held>(*value));
        }
    }
    return GgufValue(std::move(out));
}

Expected<GgufValue> read_array(Cursor& cursor) {
    const auto raw = cursor.read<uint32_t>("an array's type");
    if (!raw) return std::unexpected(raw.error());
    const auto count = cursor.read<uint64_t>("an array's length");
    if (!count) return std::unexpected(count.error());
    const auto type = static_cast<ValueType>(*raw);
    if (*raw > static_cast<uint32_t>(ValueType::F64) || type == ValueType::Array)
        return cursor.corrupt("an array holds elements of an unknown type, or arrays");
    if (*count > cursor.remaining() / bytes_of(type))
        return cursor.corrupt("an array is longer than the rest of the file");
    switch (type) {
        case ValueType::F32:
        case ValueType::F64:
            return read_elements<double>(cursor, type, *count);
        case ValueType::Bool:
            return read_elements<bool>(cursor, type, *count);
        case ValueType::String:
            return read_elements<std::string_view>(cursor, type, *count);
        default:
            return read_elements<int64_t>(cursor, type, *count);
    }
}

}  // namespace

struct GgufFile::State {
    MappedFile file;
    uint32_t version = 0;
    // Names are copied: those in the file turn to zeros where it is cut short meanwhile.
    std::map<std::string, GgufValue, std::less<>> values;
    std::map<std::string, TensorView, std::less<>> tensors;
    std::vector<std::string_view> keys, tensor_names;  // in file order

    Expected<void> read();
    Expected<void> read_metadata(Cursor& cursor, uint64_t count);
    Expected<void> read_tensors(Cursor& cursor, uint64_t count);
};

Expected<void> GgufFile::State::read_metadata(Cursor& cursor, uint64_t count) {
    if (count > cursor.remaining() / 13)
        return cursor.corrupt("there are more metadata keys than the file can hold");
    for (uint64_t i = 0; i < count; ++i) {
        const auto key = cursor.read_name("a metadata key");
        if (!key) return std::unexpected(key.error());
        const auto type = cursor.read<uint32_t>("a metadata type");
        if (!type) return std::unexpected(type.error());
        auto value = static_cast<ValueType>(*type) == ValueType::Array
                         ? read_array(cursor)
                         : read_scalar(cursor, static_cast<ValueType>(*type));
        if (!value)
            return fail(value.error().code,
                        "metadata '" + std::string(*key) + "': " + value.error().message);
        const auto [at, added] = values.emplace(*key, std::move(*value));
        if (!added) return cursor.corrupt("the metadata key '" + at->first + "' stands twice");
        keys.push_back(at->first);
    }
    return {};
}

Expected<void> GgufFile::State::read_tensors(Cursor& cursor, uint64_t count) {
    if (count > cursor.remaining() / 32)
        return cursor.corrupt("there are more tensors than the file can hold");
    struct Place {
        std::string_view name;
        uint64_t offset, bytes;
        TensorView* tensor;
    };
    std::vector<Place> places;
    for (uint64_t i = 0; i < count; ++i) {
        const auto name = cursor.read_name("a tensor's name");
        if (!name) return std::unexpected(name.error());
        const auto broken = [&](const std::string& what) {
            return cursor.corrupt("tensor '" + std::string(name->substr(0, 100)) + "' " + what);
        };
        TensorView tensor;
        const auto dimensions = cursor.read<uint32_t>("a tensor's dimensions");
        if (!dimensions) return std::unexpected(dimensions.error());
        if (*dimensions == 0 || *dimensions > Shape::kDimensionsMax)
            return broken("has " + std::to_string(*dimensions) + " dimensions, not 1 to 4");
        for (uint32_t d = 0; d < *dimensions; ++d) {
            const auto size = cursor.read<uint64_t>("a tensor's shape");
            if (!size) return std::unexpected(size.error());
            tensor.shape.dims[d] = *size;
        }
        const auto type = cursor.read<uint32_t>("a tensor's type");
        const auto offset = cursor.read<uint64_t>("a tensor's offset");
        if (!type || !offset) return cursor.corrupt("the file ends inside a tensor's description");
        const auto dtype = dtype_from_gguf(*type);
        if (!dtype)
            return fail(Code::Unsupported, "tensor '" + std::string(*name) +
                                               "' has the unknown type " + std::to_string(*type));
        tensor.dtype = *dtype;
        const auto bytes = tensor_bytes(*dtype, tensor.shape);
        if (!bytes || *bytes == 0) return broken("has a shape that its type cannot have");
        const auto [at, added] = tensors.emplace(*name, tensor);
        if (!added) return broken("stands twice");
        tensor_names.push_back(at->first);
        places.push_back({at->first, *offset, *bytes, &at->second});
    }

    uint64_t alignment = 32;
    if (const auto at = values.find("general.alignment"); at != values.end()) {
        const auto* given = std::get_if<int64_t>(&at->second);
        if (given == nullptr || *given < 1 || static_cast<uint64_t>(*given) > kAlignmentMax ||
            !std::has_single_bit(static_cast<uint64_t>(*given)))
            return fail(Code::Corrupt, "general.alignment is not a power of two up to 2^20");
        alignment = static_cast<uint64_t>(*given);
    }
    const uint64_t data_begin = round_up<uint64_t>(cursor.offset(), alignment);
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.offset < b.offset; });
    uint64_t end = 0;
    for (const Place& place : places) {
        const auto broken = [&](const std::string& what) {
            return fail(Code::Corrupt, "tensor '" + std::string(place.name) + "' " + what);
        };
        if (place.offset % alignment != 0) return broken("is not aligned");
        if (place.offset < end) return broken("overlaps another");
        const auto own_end = checked_add(place.offset, place.bytes);
        const auto file_end = own_end ? checked_add(*own_end, data_begin) : std::nullopt;
        if (!file_end || *file_end > file.bytes().size())
            return broken("reaches beyond the end of the file; is the file complete?");
        end = *own_end;
        place.tensor->data = file.bytes().subspan(data_begin + place.offset, place.bytes);
    }
    return {};
}

Expected<void> GgufFile::State::read() {
    Cursor cursor(file.bytes());
    const auto magic = cursor.read<uint32_t>("the magic number");
    if (!magic || *magic != 0x46554747) return fail(Code::Corrupt, "this is not a GGUF file");
    const auto found = cursor.read<uint32_t>("the version");
    if (!found) return std::unexpected(found.error());
    if (*found != 0 && *found % 0x10000 == 0)
        return fail(Code::Unsupported,
                    "this GGUF file is big-endian; take or make a little-endian one");
    if (*found != 2 && *found != 3)
        return fail(Code::Unsupported, "GGUF version " + std::to_string(*found) +
                                           " is not supported; versions 2 and 3 are");
    version = *found;
    const auto tensor_count = cursor.read<uint64_t>("the number of tensors");
    const auto value_count = cursor.read<uint64_t>("the number of metadata keys");
    if (!tensor_count || !value_count) return cursor.corrupt("the file ends inside its header");
    if (auto done = read_metadata(cursor, *value_count); !done) return done;
    return read_tensors(cursor, *tensor_count);
}

GgufFile::GgufFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
GgufFile::~GgufFile() = default;

Expected<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
    auto file = MappedFile::open(path);
    if (!file) return std::unexpected(file.error());
    auto state = std::make_unique<State>();
    state->file = std::move(*file);
    auto done = state->read();
    if (auto same = state->file.check_unchanged(); !same) done = std::move(same);
    if (!done) return fail(done.error().code, path + ": " + done.error().message);
    return std::unique_ptr<GgufFile>(new GgufFile(std::move(state)));
}

Expected<void> GgufFile::check_unchanged() const {
    return state_->file.check_unchanged();
}

uint32_t GgufFile::version() const {
    return state_->version;
}
uint64_t GgufFile::file_bytes() const {
    return state_->file.bytes().size();
}

const GgufValue* GgufFile::value(std::string_view key) const {
    const auto at = state_->values.find(key);
    return at == state_->values.end() ? nullptr : &at->second;
}
std::vector<std::string_view> GgufFile::keys() const {
    return state_->keys;
}

namespace {
template <class T>
const T* held(const GgufValue* value) {
    return value == nullptr ? nullptr : std::get_if<T>(value);
}
template <class T>
std::optional<T> copied(const T* value) {
    return value == nullptr ? std::nullopt : std::optional<T>(*value);
}
}  // namespace

std::optional<uint64_t> GgufFile::get_uint(std::string_view key) const {
    if (const auto* wide = held<uint64_t>(value(key))) return *wide;
    const auto* number = held<int64_t>(value(key));
    return number == nullptr ? std::nullopt : checked_cast<uint64_t>(*number);
}
std::optional<double> GgufFile::get_float(std::string_view key) const {
    return copied(held<double>(value(key)));
}
std::optional<bool> GgufFile::get_bool(std::string_view key) const {
    return copied(held<bool>(value(key)));
}
std::optional<std::string_view> GgufFile::get_string(std::string_view key) const {
    return copied(held<std::string_view>(value(key)));
}
const std::vector<std::string_view>* GgufFile::get_strings(std::string_view key) const {
    return held<std::vector<std::string_view>>(value(key));
}
const std::vector<int64_t>* GgufFile::get_ints(std::string_view key) const {
    return held<std::vector<int64_t>>(value(key));
}
const std::vector<double>* GgufFile::get_floats(std::string_view key) const {
    return held<std::vector<double>>(value(key));
}

const TensorView* GgufFile::find(std::string_view name) const {
    const auto at = state_->tensors.find(name);
    return at == state_->tensors.end() ? nullptr : &at->second;
}
std::vector<std::string_view> GgufFile::names() const {
    return state_->tensor_names;
}
void GgufFile::release(const TensorView& tensor) const {
    state_->file.release(tensor.data);
}

}  // namespace dunlin
