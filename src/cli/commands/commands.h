// The commands: each adds itself to the app and, when it is chosen, sets what is to be done.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace checkvalve {

using Action = std::function<int()>; // runs the chosen command and returns its exit code

void add_sync_command(CLI::App& app, Action& chosen);
void add_plan_command(CLI::App& app, Action& chosen);
void add_run_command(CLI::App& app, Action& chosen);
void add_status_command(CLI::App& app, Action& chosen);
void add_verify_command(CLI::App& app, Action& chosen);
void add_sweep_command(CLI::App& app, Action& chosen);
void add_ls_command(CLI::App& app, Action& chosen);
void add_doctor_command(CLI::App& app, Action& chosen);
void add_trust_command(CLI::App& app, Action& chosen);
void add_backends_command(CLI::App& app, Action& chosen);
void add_transforms_command(CLI::App& app, Action& chosen);
void add_events_schema_command(CLI::App& app, Action& chosen);
void add_completions_command(CLI::App& app, Action& chosen);
void add_man_command(CLI::App& app, Action& chosen);

} // namespace checkvalve
