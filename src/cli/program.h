// The app with all commands: what parsing, --help, completions, the man page and the reference pages are made of.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>

#include "cli/commands/commands.h"

namespace checkvalve {

// `chosen` is set by parsing, to what the command line asks for.
std::unique_ptr<CLI::App> make_app(Action& chosen);

// Parses and runs; prints help and errors of usage. Returns the exit code.
int run_program(int argc, char** argv);

} // namespace checkvalve
