#include "cli/program.h"

#include <fmt/format.h>

#include <iostream>
#include <string_view>

#include "cli/events_json.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "cli/reference.h"
#include "cli/settings.h"

namespace checkvalve {
namespace {

class HelpFormatter : public CLI::Formatter {
public:
  HelpFormatter() {
    column_width(34);
    label("REQUIRED", "(required)");
  }
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    return positional ? option->get_name(true) : option_names(*option);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = type_of(*option);
    return type.empty() ? "" : " " + type;
  }
};

const CLI::App* find_command(const CLI::App& app, std::string_view name) {
  for (const CLI::App* command : commands_of(app))
    if (command->get_name() == name) return command;
  return nullptr;
}

// The command that the words name, for the hint and the JSON of an error of usage.
std::string command_of(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (find_command(app, argv[i])) return argv[i];
  return "";
}

std::string meant(std::string_view word, const std::vector<std::string>& known) {
  const std::string nearest = nearest_word(word, known);
  return nearest.empty() ? "" : fmt::format(": did you mean {}?", nearest);
}

// What is wrong with the first word: it is no command.
std::string command_problem(const CLI::App& app, int argc, char** argv) {
  if (argc == 1) return "no command was given";
  std::vector<std::string> known;
  for (const CLI::App* each : commands_of(app)) known.push_back(each->get_name());
  return fmt::format("'{}' is no command{}", printable(argv[1]), meant(argv[1], known));
}

// The words that the command does not take. CLI11 tells them in no useful order.
std::string option_problem(const CLI::App& command, const std::string& problem) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  for (const std::string& word : command.remaining())
    if (word.starts_with("-")) {
      const std::string name = word.substr(0, word.find('='));
      return fmt::format("checkvalve {} has no option {}{}", command.get_name(), printable(name), meant(name, known));
    }
  const std::vector<std::string> words = command.remaining();
  return words.empty()
             ? printable(problem)
             : fmt::format("checkvalve {} does not take '{}' as well", command.get_name(), printable(words.back()));
}

int usage_error(const CLI::App& app, int argc, char** argv, const std::string& problem) {
  const std::string command = command_of(app, argc, argv);
  const std::string message =
      command.empty() ? command_problem(app, argc, argv) : option_problem(*find_command(app, command), problem);
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--json") {
      const Json out = {{"version", 1}, {"command", command}, {"error", error_json(config_error("", message))}};
      std::cout << to_line(out) << '\n' << std::flush;
      break;
    }
  std::cerr << "checkvalve: " << message << "\n  see: checkvalve " << (command.empty() ? "" : command + " ")
            << "--help\n";
  return exit_code::usage;
}

} // namespace

std::unique_ptr<CLI::App> make_app(Action& chosen) {
  auto app = std::make_unique<CLI::App>(
      "Copies files one way, from a source to a target: whole files only, nothing removed, reruns are cheap",
      "checkvalve");
  app->formatter(std::make_shared<HelpFormatter>());
  app->set_help_flag("-h,--help", "show this help");
  app->set_version_flag("--version", std::string("checkvalve ") + CHECKVALVE_VERSION, "show the version");
  app->require_subcommand(1);
  app->footer("Examples:\n"
              "  checkvalve sync sftp://me@source.example/data sftp://me@target.example/backup\n"
              "  checkvalve sync --job daily --date yesterday\n"
              "  checkvalve sync --help\n"
              "\n"
              "Exit codes: 0 all is at the target; 1 some files are not; 2 wrong usage or configuration;\n"
              "3 an endpoint could not be reached or refused us; 5 the state store failed;\n"
              "130, 143 interrupted.\n");
  for (auto add : {add_sync_command, add_plan_command, add_run_command, add_status_command, add_verify_command,
                   add_sweep_command, add_ls_command, add_doctor_command, add_trust_command, add_backends_command,
                   add_transforms_command, add_events_schema_command, add_completions_command, add_man_command})
    add(*app, chosen);
  return app;
}

int run_program(int argc, char** argv) {
  Action chosen;
  const std::unique_ptr<CLI::App> app = make_app(chosen);
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& wanted) { // --help, --version
    app->exit(wanted);
    return std::cout.flush() ? exit_code::success : exit_code::output;
  } catch (const CLI::ParseError& error) {
    return usage_error(*app, argc, argv, error.what());
  }
  const int code = chosen();
  if (std::cout.flush()) return code;
  std::cerr << "checkvalve: standard output could not be written to its end\n";
  return code == exit_code::success ? exit_code::output : code;
}

} // namespace checkvalve
