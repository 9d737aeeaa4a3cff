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

void add_events_schema_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("events-schema", "Print the JSON Schema of --events");
  command->footer("Example:\n  checkvalve events-schema > events.schema.json\n");
  command->callback([&chosen] {
    chosen = [] {
      std::cout << events_schema;
      return exit_code::success;
    };
  });
}

void add_completions_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("completions", "Print shell completions");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->type_name("bash|zsh|fish")
      ->check(one_of({"bash", "zsh", "fish"}))
      ->required();
  command->footer("Examples:\n"
                  "  checkvalve completions bash > ~/.local/share/bash-completion/completions/checkvalve\n"
                  "  checkvalve completions zsh > ~/.zfunc/_checkvalve\n"
                  "  checkvalve completions fish > ~/.config/fish/completions/checkvalve.fish\n");
  command->callback([=, &app, &chosen] {
    chosen = [=, &app] {
      std::cout << (*shell == "bash"  ? bash_completions(app)
                    : *shell == "zsh" ? zsh_completions(app)
                                      : fish_completions(app));
      return exit_code::success;
    };
  });
}

void add_man_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("man", "Print the man page, or a page of the reference");
  auto page = std::make_shared<std::string>("man");
  command->add_option("--page", *page, "man: roff; commands, config: Markdown; options: JSON [man]")
      ->type_name("man|commands|config|options")
      ->check(one_of({"man", "commands", "config", "options"}));
  command->footer("Examples:\n"
                  "  checkvalve man > ~/.local/share/man/man1/checkvalve.1\n"
                  "  checkvalve man | man -l -\n");
  command->callback([=, &app, &chosen] {
    chosen = [=, &app] {
      std::cout << (*page == "man"        ? man_page(app)
                    : *page == "commands" ? commands_page(app)
                    : *page == "config"   ? config_page()
                                          : options_page());
      return exit_code::success;
    };
  });
}

} // namespace checkvalve
