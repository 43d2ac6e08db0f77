#include <algorithm>

#include "app/settings/settings.h"

namespace dunlin {
namespace {

constexpr size_t kCommentColumns = 98;

/// The text as comment lines.
std::string comment(std::string_view text) {
    std::string out, line = "#";
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (line.size() + 1 + word.size() > kCommentColumns) out += line + "\n", line = "#";
        line.append(" ").append(word);
    }
    return out + line + "\n";
}

template <class Owner>
std::string literal(const SettingRow<Owner>& row, const Owner& owner) {
    return toml_literal(row.get(owner));
}

constexpr std::string_view kColumns = "| key | default | allowed | what |\n|---|---|---|---|\n";

constexpr std::string_view kExampleHead =
    "# Every setting of Dunlin, with its default. A file needs only the lines that differ.\n"
    "# Where it is looked for, and how flags and environment variables stand above it:\n"
    "# docs/CONFIGURATION.md. Made from src/app/settings/settings.def.\n";

constexpr std::string_view kExampleModels =
    "\n# One [[model]] for each model of your own; relative paths begin at this file's folder.\n"
    "# With none, the default model is listed, and the files in models.folder always are.\n"
    "#\n"
    "# [[model]]\n"
    "# id = \"my-model\"\n"
    "# path = \"models/my-model.gguf\"\n";

constexpr std::string_view kExampleKeys =
    "\n# One [[key]] for each API key. dunlin keys new NAME makes a key, shows it once and prints "
    "these\n"
    "# lines. With none, nobody needs a key.\n"
    "#\n"
    "# [[key]]\n"
    "# name = \"laptop\"\n"
    "# sha256 = \"<64 hexadecimal digits>\"\n";

constexpr std::string_view kDocumentHead = R"(# Configuration

Dunlin needs no configuration. Where a value should differ, it is taken from the first of these that has it:

1. a flag: `--port 4000`;
2. an environment variable, section and key in capitals with two underscores between: `DUNLIN_SERVER__PORT=4000`;
   lists are `a,b`, tables `alias=name,other=name`;
3. the file: `--config FILE`, else `$XDG_CONFIG_HOME/dunlin/config.toml` (`~/.config/dunlin/config.toml`) where it
   exists; a `config.toml` that happens to lie in the current folder is not read;
4. the default.

```
dunlin check-config --config config.toml   # says what is wrong, or that all is right
dunlin check-config --show                 # every value in effect, and where it comes from
dunlin check-config --example              # config.example.toml: every setting, annotated
```

Everything is checked before anything starts. All problems are told at once, one a line with file, line and what is
allowed, and the program ends with exit code 2. Unknown keys and unknown `DUNLIN_...__...` variables are problems too.
A file has at most 1 MiB, and lines of at most 1,024 bytes.

`DUNLIN_ISA` (`portable`, `avx2`, `avxvnni`, `avx512`, `avx512bf16`, `amx`, `neon`, `neondot`) is for tests and comparisons: it picks the instruction set, and is no setting.
)";

constexpr std::string_view kDocumentModels = R"(
## [[model]]

One block for each model of your own. Without any, the default model is listed, beside the names that a later version
will download; the files in `models.folder` are always listed, each by its name without `.gguf`.

)";

constexpr std::string_view kDocumentKeys = R"(
## [[key]]

One block for each API key. With any, all endpoints but `/health`, `/readiness` and the page itself need one of these keys:
`Authorization: Bearer KEY`, or the headers `x-api-key` or `api-key`. `dunlin keys new NAME` makes a key, shows it once, and
prints the block; `dunlin keys hash` reads a key that you have already from its standard input. The file holds no key, only
hashes, so a key that is lost cannot be found again.

)";

/// Whether a [[model]] or [[key]] may leave it out.
template <class Owner>
bool has_default(const SettingRow<Owner>& row) {
    return row.rule.kind == Rule::Kind::Integer || row.rule.kind == Rule::Kind::Toggle ||
           !row.rule.words.empty();
}

template <class Owner>
std::string table_row(const SettingRow<Owner>& row, const std::string& fallback) {
    std::string out = "| `" + std::string(row.key) + "` | " + fallback + " | " +
                      row.rule.describe() + " | " + std::string(row.text);
    if (!row.flag.empty()) out += " (`" + std::string(row.flag) + "`)";
    return out + " |\n";
}

template <class Owner>
void add_example(std::string_view head, std::span<const SettingRow<Owner>> rows, std::string& out) {
    out += head;
    for (const auto& row : rows)
        if (has_default(row))
            out += "# " + std::string(row.key) + " = " + literal(row, Owner{}) + "  " +
                   comment(row.text);
}

template <class Owner>
void add_table(std::string_view head, std::span<const SettingRow<Owner>> rows, std::string& out) {
    out.append(head).append(kColumns);
    for (const auto& row : rows)
        out += table_row(row, has_default(row) ? "`" + literal(row, Owner{}) + "`" : "required");
}

template <class Owner>
void show_table(const Owner& owner, std::span<const SettingRow<Owner>> rows, std::string& out) {
    out += "\n[[" + std::string(rows.front().section) + "]]  # " + owner.where + "\n";
    for (const auto& row : rows) out += std::string(row.key) + " = " + literal(row, owner) + "\n";
}

}  // namespace

std::string example_toml() {
    const Settings defaults;
    std::string out(kExampleHead);
    for (const auto& section : setting_sections()) {
        out += "\n" + comment(section.text) + "[" + std::string(section.name) + "]\n";
        for (const auto& row : setting_rows()) {
            if (row.section != section.name) continue;
            out +=
                "\n" + comment(std::string(row.text) + ". Allowed: " + row.rule.describe() + ".");
            out += std::string(row.key) + " = " + literal(row, defaults) + "\n";
        }
    }
    add_example(kExampleModels, model_rows(), out);
    add_example(kExampleKeys, key_rows(), out);
    return out;
}

std::string configuration_document() {
    const Settings defaults;
    std::string out(kDocumentHead);
    for (const auto& section : setting_sections()) {
        out += "\n## [" + std::string(section.name) + "]\n\n" + std::string(section.text) +
               ".\n\n" + std::string(kColumns);
        for (const auto& row : setting_rows())
            if (row.section == section.name)
                out += table_row(row, "`" + literal(row, defaults) + "`");
    }
    add_table(kDocumentModels, model_rows(), out);
    add_table(kDocumentKeys, key_rows(), out);
    return out;
}

std::string show_settings(const LoadedSettings& loaded) {
    std::string out;
    const auto rows = setting_rows();
    for (const auto& section : setting_sections()) {
        out += (out.empty() ? "[" : "\n[") + std::string(section.name) + "]\n";
        for (size_t i = 0; i < rows.size(); ++i) {
            if (rows[i].section != section.name) continue;
            std::string line = std::string(rows[i].key) + " = " + literal(rows[i], loaded.settings);
            line.resize(std::max<size_t>(line.size(), 46), ' ');
            out += line + "  # " + loaded.origins[i].where + "\n";
        }
    }
    for (const auto& model : loaded.settings.models) show_table(model, model_rows(), out);
    for (const auto& key : loaded.settings.keys) show_table(key, key_rows(), out);
    return out;
}

}  // namespace dunlin
