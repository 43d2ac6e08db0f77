#include "app/help.h"

#include <CLI/CLI.hpp>

namespace dunlin {
namespace {

constexpr size_t kColumns = 100, kLeftColumns = 32;

/// `left`, then `text` in a column of its own.
std::string two_columns(std::string left, std::string_view text) {
    std::string out, line = "  " + std::move(left);
    if (line.size() + 2 > kLeftColumns) out = line + "\n", line.clear();
    line.resize(kLeftColumns, ' ');
    size_t words = 0;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (words > 0 && line.size() + 1 + word.size() > kColumns) {
            out += line + "\n";
            line.assign(kLeftColumns, ' ');
            words = 0;
        }
        if (words++ > 0) line += ' ';
        line += word;
    }
    return out + line + "\n";
}

class Help final : public CLI::Formatter {
 public:
    std::string make_option(const CLI::Option* option, bool positional) const override {
        // CLI11 writes "--name{false}" for a flag that denies, and "N:INT in [1 - 9]" for a range.
        std::string left = make_option_name(option, positional);
        if (const size_t brace = left.find('{'); brace != left.npos) left.resize(brace);
        if (const size_t comma = left.find(','); comma != left.npos) left.insert(comma + 1, " ");
        const std::string type = option->get_type_name();
        if (!positional && option->get_type_size() != 0 && !type.empty())
            left += " " + type.substr(0, type.find(':'));
        std::string text = option->get_description();
        if (!option->get_default_str().empty())
            text += " (default: " + option->get_default_str() + ")";
        return two_columns(std::move(left), text);
    }
    std::string make_subcommand(const CLI::App* command) const override {
        return two_columns(command->get_name(), command->get_description());
    }
    std::string make_description(const CLI::App* app) const override {
        return app->get_description() + "\n\n";
    }
    std::string make_usage(const CLI::App* app, std::string name) const override {
        if (app->get_parent() == nullptr) return "Usage: " + name + " COMMAND [OPTIONS]\n";
        std::string out = "Usage: " + name;
        for (const CLI::Option* option : app->get_options())
            if (option->get_positional()) out += " " + make_option_usage(option);
        return out + " [OPTIONS]\n";
    }
    std::string make_help(const CLI::App* app, std::string name,
                          CLI::AppFormatMode mode) const override {
        std::string out = CLI::Formatter::make_help(app, std::move(name), mode);
        while (out.find("\n\n\n") != out.npos) out.erase(out.find("\n\n\n"), 1);
        return out;
    }
};

}  // namespace

void style_help(CLI::App& program) {
    auto help = std::make_shared<Help>();
    help->label("Positionals", "Arguments");
    program.formatter(std::move(help));
}

}  // namespace dunlin
