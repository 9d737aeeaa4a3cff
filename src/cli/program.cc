#include "cli/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <string_view>

#include "cli/events_json.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "cli/reference.h"
#include "cli/session.h"
#include "cli/settings.h"

namespace checkvalve {
namespace {

constexpr std::size_t help_name_columns = 30;
constexpr std::size_t help_text_columns = 60;

// CLI11 indents what follows a newline.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (column > 0 && column + 1 + end > help_text_columns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

class HelpFormatter : public CLI::Formatter {
public:
  HelpFormatter() {
    column_width(help_name_columns);
    label("REQUIRED", "(required)");
  }
  std::string make_option_desc(const CLI::Option* option) const override { return wrapped(option->get_description()); }
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

// The command of a command line, for the hint and the JSON of a usage error.
std::string command_of(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (find_command(app, argv[i])) return argv[i];
  return "";
}

// "did you mean '--checksum'?", or where to read on.
std::string suggestion(std::string_view word, const std::vector<std::string>& known, std::string_view command) {
  const std::string nearest = nearest_word(word, known);
  if (!nearest.empty()) return fmt::format("did you mean '{}'?", nearest);
  return fmt::format("see 'checkvalve {}{}--help'", command, command.empty() ? "" : " ");
}

Error command_error(const CLI::App& app, int argc, char** argv) {
  if (argc == 1) return config_error("", "missing command", suggestion("", {}, ""));
  const std::string_view word = argv[1];
  if (word.starts_with('-'))
    return config_error("", fmt::format("unknown option '{}'", printable(word)), suggestion("", {}, ""));
  std::vector<std::string> known;
  for (const CLI::App* each : commands_of(app)) known.push_back(each->get_name());
  return config_error("", fmt::format("unknown command '{}'", printable(word)), suggestion(word, known, ""));
}

Error option_error(const CLI::App& command, const std::string& option) {
  std::vector<std::string> known;
  for (const CLI::Option* each : command.get_options())
    for (const std::string& name : each->get_lnames()) known.push_back("--" + name);
  const std::string name = option.substr(0, option.find('='));
  const std::string_view replacement = replacement_of(name.substr(std::min(name.find_first_not_of('-'), name.size())));
  const bool replaced = std::ranges::find(known, replacement.substr(0, replacement.find(' '))) != known.end();
  return config_error("", fmt::format("unknown option '{}' of 'checkvalve {}'", printable(name), command.get_name()),
                      replaced ? fmt::format("use {}", replacement) : suggestion(name, known, command.get_name()));
}

// What the command line of a known command lacks or has too much. The words of CLI11 are replaced by ours.
Error argument_error(const CLI::App& command, const CLI::ParseError& problem) {
  const std::vector<std::string> unparsed = command.remaining();
  for (const std::string& word : unparsed)
    if (word.starts_with("-")) return option_error(command, word);
  const std::string hint = suggestion("", {}, command.get_name());
  if (!unparsed.empty())
    return config_error("", fmt::format("unexpected argument '{}'", printable(unparsed.back())), hint);
  const std::string text = problem.what();
  const std::string first = text.substr(0, text.find_first_of(": "));
  if (problem.get_name() == "RequiredError") return config_error("", "missing " + printable(first), hint);
  if (problem.get_name() == "ArgumentMismatch")
    return config_error("", fmt::format("option '{}' requires a value", printable(first)), hint);
  return config_error("", printable(text), hint);
}

int usage_error(const CLI::App& app, int argc, char** argv, const CLI::ParseError& problem) {
  const std::string command = command_of(app, argc, argv);
  const Error error =
      command.empty() ? command_error(app, argc, argv) : argument_error(*find_command(app, command), problem);
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--json") {
      const Json out = {{"version", 1}, {"command", command}, {"error", error_json(error)}};
      std::cout << to_line(out) << '\n' << std::flush;
      break;
    }
  std::cerr << error_text(error) << '\n';
  return exit_code::usage;
}

} // namespace

std::unique_ptr<CLI::App> make_app(Action& chosen) {
  auto app = std::make_unique<CLI::App>(
      "Copies files one way, from a source to a target: each file whole or not at all, deleting nothing", "checkvalve");
  app->formatter(std::make_shared<HelpFormatter>());
  app->set_help_flag("-h,--help", "show this help");
  app->set_version_flag("--version", std::string("checkvalve ") + CHECKVALVE_VERSION, "show the version");
  app->require_subcommand(1);
  app->footer("Examples:\n"
              "  checkvalve sync sftp://me@source.example/data sftp://me@target.example/backup\n"
              "  checkvalve sync --job daily --date yesterday\n"
              "  checkvalve sync --help\n"
              "\n"
              "Exit codes: 0 success; 1 some files failed; 2 invalid usage or configuration;\n"
              "3 an endpoint could not be reached or refused the login; 5 the state failed;\n"
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
    return usage_error(*app, argc, argv, error);
  }
  const int code = chosen();
  if (std::cout.flush()) return code;
  std::cerr << "checkvalve: cannot write to standard output\n";
  return code == exit_code::success ? exit_code::output : code;
}

} // namespace checkvalve
