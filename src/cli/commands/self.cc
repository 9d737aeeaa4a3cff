// checkvalve events-schema, completions and man: the program's own documents.
#include <iostream>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/completions.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/reference.h"
#include "events_schema.h"

namespace checkvalve {

void add_events_schema_command(CommandLine& line) {
  Command& command = line.add("events-schema", "Print the JSON Schema of --events");
  command.examples({"checkvalve events-schema > events.schema.json"});
  command.action([] {
    std::cout << events_schema;
    return exit_code::success;
  });
}

void add_completions_command(CommandLine& line) {
  Command& command = line.add("completions", "Print shell completions");
  auto shell = std::make_shared<std::string>();
  command.option({.names = "SHELL", .value_name = "bash|zsh|fish", .help = "bash, zsh or fish", .required = true},
                 *shell);
  command.examples({"checkvalve completions bash > ~/.local/share/bash-completion/completions/checkvalve",
                    "checkvalve completions zsh > ~/.zfunc/_checkvalve",
                    "checkvalve completions fish > ~/.config/fish/completions/checkvalve.fish"});
  command.action([=, &line] {
    std::cout << (*shell == "bash"  ? bash_completions(line)
                  : *shell == "zsh" ? zsh_completions(line)
                                    : fish_completions(line));
    return exit_code::success;
  });
}

void add_man_command(CommandLine& line) {
  Command& command = line.add("man", "Print the man page, or a page of the reference");
  auto page = std::make_shared<std::string>("man");
  command.option({.names = "--page",
                  .value_name = "man|commands|config|options",
                  .help = "man: roff; commands, config: Markdown; options: JSON [man]"},
                 *page);
  command.examples({"checkvalve man > ~/.local/share/man/man1/checkvalve.1", "checkvalve man | man -l -"});
  command.action([=, &line] {
    std::cout << (*page == "man"        ? man_page(line)
                  : *page == "commands" ? commands_page(line)
                  : *page == "config"   ? config_page()
                                        : options_page());
    return exit_code::success;
  });
}

} // namespace checkvalve
