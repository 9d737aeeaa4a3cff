// The options that commands share, on the CLI11 app, and the jobs that they make.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

#include "cli/config.h"
#include "cli/secrets.h"
#include "cli/settings.h"

namespace checkvalve {

// Input and output of a command.
struct ProcessOptions {
  std::string config; // empty: the usual places
  bool json = false;
  std::string events; // "FILE" or "fd:N"; empty: none
  std::string progress = "auto";
  std::optional<int> secrets_fd;
  bool die_with_parent = false;
};
// `works`: the command copies or compares files: it has events and progress.
void add_process_options(CLI::App& app, ProcessOptions& options, bool works);

// Checks of a command's own options; the message says what is expected.
CLI::Validator one_of(std::vector<std::string> words);
CLI::Validator integer_from(std::uint64_t min, std::uint64_t max);

// Adds the settings that a command takes (a bit of namespace takes), in their groups.
void add_settings(CLI::App& app, unsigned command);
// The settings given on the command line, in its order, after parsing.
std::vector<Assignment> given_settings(const CLI::App& app);

// What names a sync on the command line.
struct SyncArguments {
  std::string source;
  std::string target;
  std::string job; // of the config
};
void add_sync_arguments(CLI::App& app, SyncArguments& arguments);

// Config, secrets and the merged settings of a command.
struct Inputs {
  Config config;
  Secrets secrets;
  Settings settings;
  std::string state_option; // --state as given on the command line
};
// Defaults, then the named job (if any), then what `app` was given.
Result<Inputs> read_inputs(const CLI::App& app, const ProcessOptions& options, const std::string& job_name);

// For commands that take no job: of the defaults, those that say where things are on this machine; then what `app` was
// given.
Result<Inputs> read_machine_inputs(const CLI::App& app, const ProcessOptions& options);
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
