// The options that commands share, and the jobs that they make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/config.h"
#include "cli/secrets.h"
#include "cli/settings.h"

namespace checkvalve {

// Input and output of a command.
struct ProcessOptions {
  std::optional<std::string> config; // none: the usual places
  bool json = false;
  std::string events; // "FILE" or "fd:N"; empty: none
  std::string progress = "auto";
  std::optional<int> secrets_fd;
  bool die_with_parent = false;
};
// `works`: the command copies or compares files: it has events and progress.
void add_process_options(Command& command, ProcessOptions& options, bool works);

// Adds the settings that a command takes (a bit of namespace takes), in their groups.
void add_settings(Command& command, unsigned takes);
// The settings given on the command line, in its order, after parsing.
std::vector<Assignment> given_settings(const Command& command);

// What names a sync on the command line.
struct SyncArguments {
  std::string source;
  std::string target;
  std::string job; // of the config
};
void add_sync_arguments(Command& command, SyncArguments& arguments);

// Config, secrets and the merged settings of a command.
struct Inputs {
  Config config;
  Secrets secrets;
  Settings settings;
  std::string state_option; // --state as given on the command line
};
// Defaults, then the named job (if any), then what the command line was given.
Result<Inputs> read_inputs(const Command& command, const ProcessOptions& options, const std::string& job_name);

// For commands that take no job: of the defaults, those that say where things are on this machine; then what the
// command line was given.
Result<Inputs> read_machine_inputs(const Command& command, const ProcessOptions& options);
std::vector<Assignment> machine_settings(const Config& config);

struct DatedJob {
  std::string date; // "2024-03-01"; empty without --date
  Job job;
};
// One job a date. Reads the list of files. Error kind config.
Result<std::vector<DatedJob>> make_jobs(Inputs& inputs, const SyncArguments& arguments);

// Reads a list of names, one a line or, with `nul`, ended by NUL bytes; empty lines are ignored.
Result<std::vector<std::string>> parse_file_list(std::string_view text, bool nul, bool escaped);

} // namespace checkvalve
