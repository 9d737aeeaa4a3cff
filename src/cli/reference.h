// Pages about the program, made from what it parses by, so that they can't drift from it.
#pragma once

#include <string>

#include "backends/registry.h"
#include "cli/command_line.h"

namespace checkvalve {

std::string man_page(const CommandLine& line);      // roff, section 1
std::string commands_page(const CommandLine& line); // docs/reference/commands.md
std::string config_page();                          // docs/reference/config.md
std::string options_page();                         // the table of settings as JSON; python/checkvalve/options.py

std::string_view option_type_word(OptionType type); // "SIZE", "yes|no", …

} // namespace checkvalve
