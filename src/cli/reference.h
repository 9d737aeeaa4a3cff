// Pages about the program, made from what it parses by, so that they can't drift from it.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "backends/registry.h"

namespace checkvalve {

std::string man_page(const CLI::App& app);      // roff, section 1
std::string commands_page(const CLI::App& app); // docs/reference/commands.md
std::string config_page();                      // docs/reference/config.md
std::string options_page();                     // the table of settings as JSON; python/checkvalve/options.py

std::string_view option_type_word(OptionType type); // "SIZE", "yes|no", …

// What the pages and the completions ask of an app.
std::vector<const CLI::App*> commands_of(const CLI::App& app);
struct OptionGroup {
  std::string name;
  std::vector<const CLI::Option*> options;
};
std::vector<OptionGroup> option_groups(const CLI::App& command); // without positionals
std::vector<std::string> choices_of(std::string_view type);      // "auto|always|never" → the words; else empty
std::vector<std::string> choices_of(const CLI::Option& option);
std::string option_names(const CLI::Option& option); // "-R, --recursive"
std::string type_of(const CLI::Option& option);      // "SIZE"; empty for a flag

} // namespace checkvalve
