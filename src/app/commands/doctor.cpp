#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <CLI/CLI.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "app/choose_engine.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/load_model.h"
#include "app/models.h"
#include "app/session_data.h"
#include "base/log.h"
#include "base/os.h"
#include "base/pages.h"
#include "json/json.h"
#include "kernels/isa.h"
#include "runner/llamacpp/architectures.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

/// One thing that serving needs: how it stands, or what is wrong with it.
struct Finding {
    std::string what, problem;
};

struct ModelFinding : Finding {
    std::string id, path;
    uint64_t file_bytes = 0;
    EngineChoice choice;
};

struct Report {
    EngineStock stock;
    uint32_t cores = 0;
    bool large_pages = false;
    ModelFinding model;
    Finding data;
    bool able() const { return model.problem.empty() && data.problem.empty(); }
};

/// Reads the file's header and chooses as a load would; loads nothing.
ModelFinding examine_model(const ModelEntry& entry, const Settings& settings,
                           const Report& report) {
    ModelFinding out;
    out.id = entry.id;
    out.path = entry.path;
    out.problem = entry.path.empty() ? entry.reason : "";
    if (!out.problem.empty()) return out;
    const auto facts = inspect_model(entry);
    if (!facts) {
        out.problem = facts.error().message;
        return out;
    }
    out.file_bytes = facts->file_bytes;
    const auto choice = plan_model(entry, load_settings_of(settings, entry).wish, report.stock);
    if (choice)
        out.choice = *choice;
    else
        out.problem = choice.error().message;
    return out;
}

/// Whether the folder is writable, or could be made; makes nothing.
Finding examine_data(const Settings& settings) {
    if (settings.session_store == "memory") return {"sessions are kept in memory alone", ""};
    const auto folder = data_folder(settings);
    if (!folder) return {"no data folder", folder.error().message};
    std::string there = *folder;
    struct stat status{};
    while (stat(there.c_str(), &status) != 0 && errno == ENOENT && there.rfind('/') != there.npos &&
           there.size() > 1)
        there.resize(std::max<size_t>(there.rfind('/'), 1));
    Finding out{*folder, ""};
    if (stat(there.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
        out.problem = there + " is not a folder";
    else if (access(there.c_str(), W_OK | X_OK) != 0)
        out.problem = there + ": " + std::strerror(errno);
    if (!out.problem.empty())
        out.problem += "; choose another folder with --data-dir (server.data_dir)";
    return out;
}

Report examine(const Settings& settings, const ModelEntry& entry) {
    Report report;
    report.stock = engine_stock({});
    report.cores = usable_cores();
    report.large_pages = has_large_pages();
    report.model = examine_model(entry, settings, report);
    report.data = examine_data(settings);
    return report;
}

void print_line(const char* label, const std::string& text) {
    std::printf("%-18s%s\n", label, text.c_str());
}

void print_text(const Report& report) {
    std::string sets;
    for (const Isa isa : available_isas()) sets += std::string(to_string(isa)) + ", ";
    print_line("version", DUNLIN_VERSION);
    print_line("instruction sets",
               sets + "the last is used" +
                   (chosen_isa() == available_isas().back()
                        ? ""
                        : " but for DUNLIN_ISA: " + std::string(to_string(chosen_isa()))));
    print_line("cores", std::to_string(report.cores));
    print_line("large pages", report.large_pages
                                  ? "yes"
                                  : "no: weights are read more slowly; echo madvise > "
                                    "/sys/kernel/mm/transparent_hugepage/enabled");
    print_line("memory",
               report.stock.memory_bytes == 0 ? "unknown" : in_gib(report.stock.memory_bytes));
    print_line("engines", report.stock.has_llamacpp
                              ? "native, llama.cpp"
                              : "native; llama.cpp is not in this build: scripts/build full");
    print_line("devices", "cpu");
    for (const LlamaCppDevice& device : report.stock.devices)
        print_line("", device.name + ": " + device.description + ", " +
                           in_gib(device.memory_bytes_free) + " free of " +
                           in_gib(device.memory_bytes_total) +
                           (device.is_gpu ? "" : "; no GPU, used only where it is named"));
    const ModelFinding& model = report.model;
    print_line("model", model.id + (model.path.empty() ? "" : ", " + model.path) +
                            (model.file_bytes == 0 ? "" : ", " + in_gib(model.file_bytes)));
    print_line("", model.problem.empty() ? model.choice.engine + " would compute it on " +
                                               model.choice.device + ": " + model.choice.why
                                         : "NO: " + model.problem);
    print_line("data folder", report.data.what);
    if (!report.data.problem.empty()) print_line("", "NO: " + report.data.problem);
    std::printf("\n%s\n", report.able() ? "The model can be served: dunlin serve"
                                        : "The model cannot be served: see the lines with NO");
}

void print_json(const Report& report) {
    Json::Array sets, engines{"native"}, devices, native, llamacpp;
#define ARCHITECTURE(name, load) native.emplace_back(#name);
#include "models/architectures.def"
#undef ARCHITECTURE
    for (std::string& name : llamacpp_architectures()) llamacpp.emplace_back(std::move(name));
    for (const Isa isa : available_isas()) sets.emplace_back(to_string(isa));
    if (report.stock.has_llamacpp) engines.emplace_back("llama.cpp");
    for (const LlamaCppDevice& device : report.stock.devices)
        devices.emplace_back(Json::Object{{"name", device.name},
                                          {"kind", device.kind},
                                          {"description", device.description},
                                          {"is_gpu", device.is_gpu},
                                          {"memory_bytes_free", device.memory_bytes_free},
                                          {"memory_bytes_total", device.memory_bytes_total}});
    const ModelFinding& model = report.model;
    const Json document = Json::Object{
        {"version", DUNLIN_VERSION},
        {"instruction_sets", std::move(sets)},
        {"instruction_set_in_use", to_string(chosen_isa())},
        {"cores", report.cores},
        {"large_pages", report.large_pages},
        {"memory_bytes", report.stock.memory_bytes},
        {"engines", std::move(engines)},
        {"architectures",
         Json::Object{{"native", std::move(native)}, {"llama.cpp", std::move(llamacpp)}}},
        {"devices", std::move(devices)},
        {"model", Json::Object{{"id", lossy_utf8(model.id)},
                               {"path", or_null(lossy_utf8(model.path))},
                               {"file_bytes", model.file_bytes},
                               {"engine", or_null(model.choice.engine)},
                               {"device", or_null(model.choice.device)},
                               {"why", or_null(model.choice.why)},
                               {"problem", or_null(lossy_utf8(model.problem))}}},
        {"data_folder", Json::Object{{"path", lossy_utf8(report.data.what)},
                                     {"problem", or_null(lossy_utf8(report.data.problem))}}},
        {"able", report.able()}};
    const auto text = write_json(document);
    if (!text) exit_with(text.error());
    std::printf("%s\n", text->c_str());
}

void doctor(const CommandFlags& flags, bool json) {
    const Settings settings = load_or_exit(flags).settings;
    const ModelEntry entry = choose_or_exit(flags, settings);
    set_log_level(LogLevel::Warning);
    const Report report = examine(settings, entry);
    json ? print_json(report) : print_text(report);
    if (!report.able()) std::exit(1);
}

}  // namespace

void add_doctor(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    const auto json = std::make_shared<bool>(false);
    add_model_flag(command, flags);
    command.add_flag("--json", *json, "Print one JSON object instead of the lines");
    add_setting_flags(command, flags, FlagScope::All);
    command.footer(
        "Loads no model and changes nothing. With the flags of dunlin serve it tells about that.\n"
        "Exit code 0: the model could be served; 1: not, a line says why; 2: wrong use.\n"
        "Example: dunlin doctor --json");
    command.callback([flags, json] { doctor(*flags, *json); });
}

}  // namespace dunlin
