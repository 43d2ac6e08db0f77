#include <algorithm>
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "access/key_ring.h"
#include "app/command.h"
#include "app/settings/settings.h"

namespace dunlin {
namespace {

constexpr size_t kKeyBytesMin =
    20;  // whoever chooses a key must not choose one that can be guessed

struct NewKey {
    std::string name, requests_per_minute;
};

/// The value that a key of [[key]] would have, or the end of the program.
SettingValue checked(std::string_view key, const std::string& text) {
    const auto rows = key_rows();
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.key == key; });
    const auto value = row->rule.parse(text);
    if (!value || !row->rule.allows(*value))
        exit_with({Code::Invalid, row->name() + ": this is not " + row->rule.describe()}, 2);
    return *value;
}

void make_key(const NewKey& wanted) {
    std::string block = "\n[[key]]\nname = " + toml_literal(checked("name", wanted.name)) + "\n";
    std::string limit;
    if (!wanted.requests_per_minute.empty())
        limit = "requests_per_minute = " +
                toml_literal(checked("requests_per_minute", wanted.requests_per_minute)) + "\n";
    const std::string key = new_key();
    block += "sha256 = \"" + to_hex(sha256(key)) + "\"\n" + limit;
    // Apart, so that `dunlin keys new NAME >> config.toml` leaves no key in the file.
    std::fprintf(stderr,
                 "The key, shown this once; give it to whoever will use it:\n\n    %s\n\n"
                 "Its lines for config.toml; the server reads them when it starts:\n",
                 key.c_str());
    std::fputs(block.c_str(), stdout);
}

void hash_key() {
    const std::string key = read_stdin();
    const bool plain =
        std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 127; });
    if (key.size() < kKeyBytesMin || key.size() > kKeyBytesMax || !plain)
        exit_with({Code::Invalid, "a key has " + std::to_string(kKeyBytesMin) + " to " +
                                      std::to_string(kKeyBytesMax) +
                                      " characters of ASCII, and no spaces"},
                  2);
    std::printf("%s\n", to_hex(sha256(key)).c_str());
}

}  // namespace

void add_keys(CLI::App& command) {
    const auto wanted = std::make_shared<NewKey>();
    CLI::App* make =
        command.add_subcommand("new", "Make a key: shows it once, and its [[key]] for config.toml");
    make->add_option("NAME", wanted->name, "Whose key it is")->required();
    make->add_option("--requests-per-minute", wanted->requests_per_minute,
                     "Most requests for an answer in any 60 seconds; without it as "
                     "limits.requests_per_minute says")
        ->type_name("N");
    make->callback([wanted] { make_key(*wanted); });
    make->footer("Example: dunlin keys new laptop --requests-per-minute 60");
    CLI::App* hash = command.add_subcommand(
        "hash", "Read a key from standard input and print its SHA-256, for [[key]]");
    hash->allow_extras();  // the usual message would repeat a key that stands there
    hash->callback([hash] {
        if (!hash->remaining().empty())
            exit_with({Code::Invalid,
                       "the key comes on standard input, where nobody else sees it: "
                       "dunlin keys hash < FILE"},
                      2);
        hash_key();
    });
    hash->footer("Example: dunlin keys hash < key.txt");
    command.require_subcommand(1);
    command.footer("Example: dunlin keys new laptop");
}

}  // namespace dunlin
