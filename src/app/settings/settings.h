#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/server.h"
#include "base/log.h"
#include "engine/local_engine.h"
#include "runner/native/native_runner.h"
#include "sessions/sessions.h"
#include "sessions/stores.h"

namespace dunlin {

/// The value of one setting, whatever it came from.
using SettingValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>,
                                  std::map<std::string, std::string, std::less<>>>;

/// In a [[model]]: as [models] says.
inline constexpr std::string_view kSame = "same";

/// One [[model]].
struct ModelSettings {
    std::string id, path;
    uint32_t context_tokens_max = 0;  // 0: as [models] says
    uint64_t kv_tokens = 0;           // 0: as [models] says
    std::string engine{kSame}, device{kSame}, kv_type{kSame};
    SettingValue device_layers = std::string(kSame);  // or "auto", or a number
    std::string where = {};                           // "config.toml:12", for messages
};

/// One [[key]].
struct KeySettings {
    std::string name, sha256;  // hexadecimal
    bool enabled = true;
    uint32_t requests_per_minute = 0;  // 0: as [limits] says
    std::string where = {};            // "config.toml:12", for messages
};

/// Everything that can be set: the structs of the rungs, and what only the program itself needs.
struct Settings {
    ApiSettings api;
    NativeSettings native;
    EngineSettings engine;
    SessionLimits sessions;
    std::string session_store{kSessionStores[0]};
    std::string data_dir;
    LogLevel log_level = LogLevel::Info;
    bool allow_unauthenticated_network = false;
    uint32_t drain_s = 30;
    std::string engine_name = "auto", device = "auto", kv_type = "f16";
    SettingValue device_layers = std::string("auto");  // or a number
    std::string default_model;
    std::string models_folder;
    std::map<std::string, std::string, std::less<>> aliases;
    std::vector<ModelSettings> models;
    std::string authentication = "auto";
    std::vector<KeySettings> keys;
};

inline constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error", "off"};
inline constexpr std::string_view kEngines[] = {"auto", "native", "llama.cpp"};
inline constexpr std::string_view kDeviceKinds[] = {"cuda", "rocm", "vulkan", "metal"};
inline constexpr std::string_view kKvTypes[] = {"f16", "int8", "q8_0"};
/// REQUIRES: one of kKvTypes.
constexpr KvType kv_type_named(std::string_view name) {
    return name == kKvTypes[0] ? KvType::F16 : KvType::Int8;
}
inline constexpr std::string_view kAuthentications[] = {"auto", "on", "off"};
inline constexpr std::string_view kOverlong[] = {"refuse", "trim"};

/// Which values a setting allows. settings.def writes these by the names of the functions below.
struct Rule {
    enum class Kind : uint8_t {
        Toggle,
        Integer,
        Number,
        Choice,
        Device,
        Text,
        Address,
        HostNames,
        Origins,
        Sha256,
        Names,
        Folder,
        File,
    };
    Kind kind = Kind::Toggle;
    int64_t least = 0, most = 0;  // of a number, or of a text's length in bytes
    std::span<const std::string_view> choices = {};
    bool or_zero = false;                          // an integer may be 0 although `least` is above
    std::span<const std::string_view> words = {};  // allowed in place of such a value

    /// Whether the value has this kind and lies in its range. Looks at no file.
    bool allows(const SettingValue& value) const;
    /// "a whole number from 0 to 65535"
    std::string describe() const;
    /// From a flag or an environment variable. Lists are "a,b", tables "alias=name,other=name".
    /// Nothing where the text is not of this kind; allows() is another question.
    std::optional<SettingValue> parse(std::string_view text) const;
};

/// One row of settings.def; Owner is Settings, ModelSettings or KeySettings.
template <class Owner>
struct SettingRow {
    std::string_view section, key;
    Rule rule;
    std::string_view flag;  // "--port", or empty
    std::string_view text;
    SettingValue (*get)(const Owner&);
    void (*set)(Owner&, const SettingValue&);  // REQUIRES: rule.allows(value)

    std::string name() const { return std::string(section) + "." + std::string(key); }
};
struct SettingSection {
    std::string_view name, text;
};

std::span<const SettingSection> setting_sections();
std::span<const SettingRow<Settings>> setting_rows();
std::span<const SettingRow<ModelSettings>> model_rows();  // their section is "model"
std::span<const SettingRow<KeySettings>> key_rows();      // their section is "key"

/// The value as TOML writes it.
std::string toml_literal(const SettingValue& value);

/// The name nearest to `given`, or an empty view where none is near enough to be meant.
std::string_view nearest(std::string_view given, std::span<const std::string> names);

/// Where a setting's value came from: the later layers win.
struct Origin {
    enum class Layer : uint8_t { Default, File, Environment, Flag } layer = Layer::Default;
    std::string where = "default";  // "config.toml:3", "DUNLIN_SERVER__PORT", "--port"
    uint32_t line = 0;
};

struct SettingSources {
    std::string config_path = {};  // empty: none
    /// Names and values; only names that begin with DUNLIN_ and contain a double underscore count.
    std::vector<std::pair<std::string, std::string>> environment = {};
    /// Flags as typed ("--port") and their texts.
    std::vector<std::pair<std::string, std::string>> flags = {};
};

struct LoadedSettings {
    Settings settings;
    std::vector<Origin> origins;  // one a row of setting_rows()
    std::string config_path;      // empty: none was read
};

/// Reads all layers and checks every value and what must hold between them. Errors: every problem
/// at once, each one line, "config.toml:3: server.port: what is wrong; what is allowed".
std::expected<LoadedSettings, std::vector<std::string>> load_settings(
    const SettingSources& sources);

/// What must hold between settings, and with the files they name. Appends to `problems` the line's
/// origin and its text.
void check_together(const LoadedSettings& loaded,
                    std::vector<std::pair<Origin, std::string>>& problems);

/// config.example.toml, docs/CONFIGURATION.md, and the effective settings with their origins.
std::string example_toml();
std::string configuration_document();
std::string show_settings(const LoadedSettings& loaded);

}  // namespace dunlin
