// Completions of shells, made from the command line.
#pragma once

#include <string>

#include "cli/command_line.h"

namespace checkvalve {

std::string bash_completions(const CommandLine& line);
std::string zsh_completions(const CommandLine& line);
std::string fish_completions(const CommandLine& line);

} // namespace checkvalve
