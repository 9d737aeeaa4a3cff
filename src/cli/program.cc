#include "cli/program.h"

#include <iostream>
#include <string_view>

#include "cli/commands/commands.h"
#include "cli/events_json.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace checkvalve {
namespace {

int usage_error(const CommandLine& line, int argc, char** argv, const Error& error) {
  std::string command;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (command.empty() && line.find(argv[i])) command = argv[i];
    json = json || std::string_view(argv[i]) == "--json";
  }
  if (json) {
    const Json out = {{"version", 1}, {"command", command}, {"error", error_json(error)}};
    std::cout << to_line(out) << '\n' << std::flush;
  }
  std::cerr << error_text(error) << '\n';
  return exit_code::usage;
}

} // namespace

std::unique_ptr<CommandLine> make_command_line() {
  auto line = std::make_unique<CommandLine>(
      "checkvalve", "Copies files one way, from a source to a target: each file whole or not at all, deleting nothing",
      std::string("checkvalve ") + CHECKVALVE_VERSION,
      "Examples:\n"
      "  checkvalve sync sftp://me@source.example/data sftp://me@target.example/backup\n"
      "  checkvalve sync --job daily --date yesterday\n"
      "  checkvalve sync --help\n"
      "\n"
      "Exit codes: 0 success; 1 some files failed; 2 invalid usage or configuration;\n"
      "3 an endpoint could not be reached or refused the login; 4 fewer files than\n"
      "--min-files; 5 the state failed; 130, 143 interrupted.\n");
  for (auto add : {add_sync_command, add_plan_command, add_run_command, add_status_command, add_verify_command,
                   add_sweep_command, add_ls_command, add_doctor_command, add_trust_command, add_backends_command,
                   add_transforms_command, add_events_schema_command, add_completions_command, add_man_command})
    add(*line);
  return line;
}

int run_program(int argc, char** argv) {
  const std::unique_ptr<CommandLine> line = make_command_line();
  const auto chosen = line->parse(argc, argv);
  if (!chosen) return usage_error(*line, argc, argv, chosen.error());
  const int code = *chosen ? (*chosen)->run() : exit_code::success;
  if (std::cout.flush()) return code;
  std::cerr << "checkvalve: cannot write to standard output\n";
  return code == exit_code::success ? exit_code::output : code;
}

} // namespace checkvalve
