// Three layers over the defaults: the file, the environment, the flags. Each value is checked where
// it comes from, so that a wrong line in the file is told even where a flag overrides it; what must
// hold between values is checked once, on the outcome. Nothing stops at the first problem.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>

#include <sys/stat.h>

#include "access/key_ring.h"
#include "app/settings/settings.h"
#include "app/settings/toml.h"

namespace dunlin {
namespace {

constexpr size_t kModelsMax = 1000;
constexpr size_t kProblemsMax = 100;
constexpr std::string_view kPrefix = "DUNLIN_";

std::string in_capitals(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

template <class Owner>
std::string variable_of(const SettingRow<Owner>& row) {
    return std::string(kPrefix) + in_capitals(row.section) + "__" + in_capitals(row.key);
}

std::vector<std::string> section_names() {
    std::vector<std::string> out{"model", "key"};
    for (const auto& section : setting_sections()) out.emplace_back(section.name);
    return out;
}

/// "; did you mean server.port?", for a name that no row has.
std::string suggestion(std::string_view name, std::span<const std::string> names) {
    const auto last = name.substr(name.rfind('.') + 1);
    std::string_view meant;
    for (const std::string& known : names)
        if (std::string_view(known).substr(known.rfind('.') + 1) == last) meant = known;
    if (meant.empty()) meant = nearest(name, names);
    if (meant.empty()) return "; dunlin check-config --example shows all there are";
    return "; did you mean " + std::string(meant) + "?";
}

template <class Owner>
std::vector<std::string> names_of(std::span<const SettingRow<Owner>> rows) {
    std::vector<std::string> out;
    for (const auto& row : rows) out.push_back(row.name());
    return out;
}

std::string shown(std::string_view text) {
    return to_string(TomlValue{std::string(text), 0});
}

/// A key as TOML writes it: bare where it can be.
std::string shown_key(std::string_view key) {
    const bool bare =
        !key.empty() && key.size() <= 60 && std::all_of(key.begin(), key.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '-';
        });
    return bare ? std::string(key) : shown(key);
}

/// The TOML value as one that the rule may allow; nothing where no setting has such a type.
std::optional<SettingValue> from_toml(const Rule& rule, const TomlValue& given) {
    if (const auto* flag = std::get_if<bool>(&given.value)) return *flag;
    if (const auto* integer = std::get_if<int64_t>(&given.value)) {
        if (rule.kind == Rule::Kind::Number) return static_cast<double>(*integer);
        return *integer;
    }
    if (const auto* number = std::get_if<double>(&given.value)) return *number;
    if (const auto* text = std::get_if<std::string>(&given.value)) return *text;
    if (const auto* array = std::get_if<TomlValue::Array>(&given.value)) {
        std::vector<std::string> list;
        for (const TomlValue& item : *array) {
            const auto* text = std::get_if<std::string>(&item.value);
            if (text == nullptr) return std::nullopt;
            list.push_back(*text);
        }
        return list;
    }
    if (const auto* table = std::get_if<TomlValue::Table>(&given.value)) {
        std::map<std::string, std::string, std::less<>> map;
        for (const TomlMember& member : *table) {
            const auto* text = std::get_if<std::string>(&member.value.value);
            if (text == nullptr) return std::nullopt;
            map.emplace(member.key, *text);
        }
        return map;
    }
    return std::nullopt;
}

/// What the file has several of, each in a [[name]].
template <class Owner>
struct TableKind {
    std::string name;
    size_t most;
    std::span<const SettingRow<Owner>> rows;
    std::string first, second;  // what each one needs
    bool secret = false;        // a value that is wrong may be a key: it is not shown
};

class Loader {
 public:
    explicit Loader(const SettingSources& sources) : sources_(sources) {
        loaded_.origins.resize(setting_rows().size());
    }

    std::expected<LoadedSettings, std::vector<std::string>> load() {
        if (!sources_.config_path.empty()) read_file(sources_.config_path);
        read_environment();
        read_flags();
        // Between values that were refused nothing can be said.
        check_together(loaded_, problems_);
        if (problems_.empty()) return std::move(loaded_);
        std::sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
            return std::tie(a.first.layer, a.first.line, a.first.where, a.second) <
                   std::tie(b.first.layer, b.first.line, b.first.where, b.second);
        });
        std::vector<std::string> lines;
        for (const auto& [origin, text] : problems_) {
            if (lines.size() == kProblemsMax) {
                lines.push_back("and " + std::to_string(problems_.size() - kProblemsMax) + " more");
                break;
            }
            lines.push_back(origin.where + ": " + text);
        }
        return std::unexpected(std::move(lines));
    }

 private:
    Origin at(uint32_t line) const {
        return {Origin::Layer::File, sources_.config_path + ":" + std::to_string(line), line};
    }
    void problem(const Origin& origin, std::string text) {
        problems_.emplace_back(origin, std::move(text));
    }

    /// A file that is all wrong gets no advice on every line: that would take seconds.
    std::string hint(std::string_view name, std::span<const std::string> names) const {
        return problems_.size() < 10 * kProblemsMax ? suggestion(name, names) : std::string();
    }

    void read_file(const std::string& path);
    void read_section(const SettingSection& section, const TomlMember& given);
    template <class Owner>
    void read_tables(const TomlMember& given, const TableKind<Owner>& kind,
                     std::vector<Owner>& out);
    void read_environment();
    void read_flags();

    /// Relative paths in a file begin at its folder.
    void resolve(const Rule& rule, SettingValue& value) const {
        if (rule.kind != Rule::Kind::Folder && rule.kind != Rule::Kind::File) return;
        auto* text = std::get_if<std::string>(&value);
        const size_t slash = sources_.config_path.rfind('/');
        if (text == nullptr || text->empty() || text->front() == '/' || slash == std::string::npos)
            return;
        text->insert(0, sources_.config_path, 0, slash + 1);
    }

    /// Whether the row took the value.
    template <class Owner>
    bool set_from_toml(const SettingRow<Owner>& row, const TomlMember& given, Owner& owner) {
        auto value = from_toml(row.rule, given.value);
        if (value && row.rule.allows(*value)) {
            resolve(row.rule, *value);
            row.set(owner, *value);
            return true;
        }
        // What stands where a hash belongs may be the key itself.
        const bool secret = row.rule.kind == Rule::Kind::Sha256;
        std::string text = row.name() + ": " + (secret ? "this" : to_string(given.value)) +
                           " is not " + row.rule.describe();
        if (const auto* quoted = std::get_if<std::string>(&given.value.value))
            if (const auto bare = row.rule.parse(*quoted))
                if (!std::holds_alternative<std::string>(*bare) && row.rule.allows(*bare))
                    text += "; write " + toml_literal(*bare);
        problem(at(given.line), std::move(text));
        return false;
    }
    void set_from_text(size_t index, std::string_view text, Origin origin) {
        const auto& row = setting_rows()[index];
        const auto value = row.rule.parse(text);
        if (value && row.rule.allows(*value)) {
            row.set(loaded_.settings, *value);
            loaded_.origins[index] = std::move(origin);
        } else {
            problem(origin, row.name() + ": " + shown(text) + " is not " + row.rule.describe());
        }
    }

    const SettingSources& sources_;
    const std::vector<std::string> names_ = names_of(setting_rows());
    LoadedSettings loaded_;
    std::vector<std::pair<Origin, std::string>> problems_;
};

void Loader::read_file(const std::string& path) {
    const Origin origin{Origin::Layer::File, path, 0};
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return problem(origin, std::string("cannot be read: ") + std::strerror(errno));
    if (!S_ISREG(status.st_mode))
        return problem(origin, S_ISDIR(status.st_mode) ? "is a folder; name the file in it"
                                                       : "is not a plain file");
    if (std::cmp_greater(status.st_size, kTomlBytesMax))
        return problem(origin, "has " + std::to_string(status.st_size) + " bytes; at most " +
                                   std::to_string(kTomlBytesMax) + " are allowed");
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad())
        return problem(origin, std::string("cannot be read: ") + std::strerror(errno));
    const auto root = read_toml(text);
    if (!root) return problem(at(root.error().line), root.error().message);
    loaded_.config_path = path;

    for (const TomlMember& member : std::get<TomlValue::Table>(root->value)) {
        const auto sections = setting_sections();
        const auto section = std::find_if(sections.begin(), sections.end(),
                                          [&](const auto& one) { return one.name == member.key; });
        if (member.key == "model")
            read_tables<ModelSettings>(member,
                                       {.name = "model",
                                        .most = kModelsMax,
                                        .rows = model_rows(),
                                        .first = "id",
                                        .second = "path"},
                                       loaded_.settings.models);
        else if (member.key == "key")
            read_tables<KeySettings>(member,
                                     {.name = "key",
                                      .most = kKeysMax,
                                      .rows = key_rows(),
                                      .first = "name",
                                      .second = "sha256",
                                      .secret = true},
                                     loaded_.settings.keys);
        else if (section != sections.end())
            read_section(*section, member);
        else if (std::holds_alternative<TomlValue::Table>(member.value.value) ||
                 std::holds_alternative<TomlValue::Array>(member.value.value))
            problem(at(member.line), shown_key(member.key) + ": there is no such section" +
                                         hint(member.key, section_names()));
        else
            problem(at(member.line), shown_key(member.key) + ": there is no such setting" +
                                         hint(member.key, names_));
    }
}

void Loader::read_section(const SettingSection& section, const TomlMember& given) {
    const std::string name(section.name);
    const auto* table = std::get_if<TomlValue::Table>(&given.value.value);
    if (table == nullptr)
        return problem(at(given.line), name + ": " + to_string(given.value) +
                                           " is not a section; write [" + name + "]" +
                                           (name == "models"     ? ", and [[model]] for each model"
                                            : name == "security" ? ", and [[key]] for each key"
                                                                 : ""));
    const auto rows = setting_rows();
    for (const TomlMember& member : *table) {
        const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& one) {
            return one.section == section.name && one.key == member.key;
        });
        if (row == rows.end()) {
            const std::string full = name + "." + member.key;
            problem(at(member.line), name + "." + shown_key(member.key) +
                                         ": there is no such setting" + hint(full, names_));
        } else if (set_from_toml(*row, member, loaded_.settings)) {
            loaded_.origins[static_cast<size_t>(row - rows.begin())] = at(member.line);
        }
    }
}

template <class Owner>
void Loader::read_tables(const TomlMember& given, const TableKind<Owner>& kind,
                         std::vector<Owner>& out) {
    const std::string& name = kind.name;
    const std::string marked = "[[" + name + "]]";
    const std::string needed = kind.first + " and " + kind.second;
    const auto* items = std::get_if<TomlValue::Array>(&given.value.value);
    if (items == nullptr)
        return problem(at(given.line),
                       name + ": write " + marked + " above the " + needed + " of each " + name);
    if (items->size() > kind.most)
        return problem(at(given.line), name + ": " + std::to_string(items->size()) + " " + name +
                                           "s are listed; at most " + std::to_string(kind.most) +
                                           " are allowed");
    const auto& rows = kind.rows;
    for (const TomlValue& item : *items) {
        const auto* table = std::get_if<TomlValue::Table>(&item.value);
        if (table == nullptr) {
            problem(at(item.line), name + ": " + (kind.secret ? "this" : to_string(item)) +
                                       " is not a table with " + needed);
            continue;
        }
        Owner one;
        one.where = at(item.line).where;
        bool whole = true;
        for (const TomlMember& member : *table) {
            const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& known) {
                return known.key == member.key;
            });
            if (row == rows.end()) {
                problem(at(member.line), name + "." + shown_key(member.key) +
                                             ": there is no such setting" +
                                             hint(name + "." + member.key, names_of(rows)));
            } else if (!set_from_toml(*row, member, one)) {
                whole = false;
            }
        }
        for (const std::string& key : {kind.first, kind.second})
            if (std::none_of(table->begin(), table->end(),
                             [&](const auto& member) { return member.key == key; }))
                problem(at(item.line), name + "." + key + ": each " + marked + " needs one"),
                    whole = false;
        if (whole) out.push_back(std::move(one));
    }
}

void Loader::read_environment() {
    const auto rows = setting_rows();
    std::vector<std::string> variables;
    for (const auto& row : rows) variables.push_back(variable_of(row));
    for (const auto& [name, text] : sources_.environment) {
        if (!name.starts_with(kPrefix) || name.find("__") == name.npos) continue;
        const Origin origin{Origin::Layer::Environment, name, 0};
        const auto found = std::find(variables.begin(), variables.end(), name);
        if (found == variables.end()) {
            problem(origin, "there is no such setting" + hint(name, variables));
        } else {
            set_from_text(static_cast<size_t>(found - variables.begin()), text, origin);
        }
    }
}

void Loader::read_flags() {
    const auto rows = setting_rows();
    for (const auto& [flag, text] : sources_.flags)
        for (size_t i = 0; i < rows.size(); ++i)
            if (rows[i].flag == flag) set_from_text(i, text, {Origin::Layer::Flag, flag, 0});
}

}  // namespace

std::expected<LoadedSettings, std::vector<std::string>> load_settings(
    const SettingSources& sources) {
    return Loader(sources).load();
}

}  // namespace dunlin
