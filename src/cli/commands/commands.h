// The commands: each adds itself to the command line, with its options and what it does.
#pragma once

#include "cli/command_line.h"

namespace checkvalve {

void add_sync_command(CommandLine& line);
void add_plan_command(CommandLine& line);
void add_run_command(CommandLine& line);
void add_status_command(CommandLine& line);
void add_verify_command(CommandLine& line);
void add_sweep_command(CommandLine& line);
void add_ls_command(CommandLine& line);
void add_doctor_command(CommandLine& line);
void add_trust_command(CommandLine& line);
void add_backends_command(CommandLine& line);
void add_transforms_command(CommandLine& line);
void add_events_schema_command(CommandLine& line);
void add_completions_command(CommandLine& line);
void add_man_command(CommandLine& line);

} // namespace checkvalve
