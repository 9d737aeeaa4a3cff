// The command line with all commands: what parsing, --help, completions, the man page and the reference pages use.
#pragma once

#include "cli/command_line.h"

namespace checkvalve {

std::unique_ptr<CommandLine> make_command_line();

// Parses and runs; prints help and errors of usage. Returns the exit code.
int run_program(int argc, char** argv);

} // namespace checkvalve
