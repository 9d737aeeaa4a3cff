#include "cli/completions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/reference.h"

namespace checkvalve {
namespace {

std::vector<std::string> all_names(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<const CLI::Option*> options_of(const CLI::App& command) {
  std::vector<const CLI::Option*> options;
  for (const OptionGroup& group : option_groups(command))
    options.insert(options.end(), group.options.begin(), group.options.end());
  return options;
}

bool takes_file(const CLI::Option& option) {
  const std::string type = type_of(option);
  return type.find("FILE") != type.npos || type.find("PATH") != type.npos;
}

// Within single quotes of a shell.
std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// zsh's specifications give ':' and brackets a meaning.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == ':' || c == '[' || c == ']' ? std::string("\\") + c : std::string(1, c);
  return out;
}

std::string bash_values(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : options_of(command)) {
    if (type_of(*option).empty()) continue;
    const std::string names = fmt::format("{}", fmt::join(all_names(*option), "|"));
    const auto choices = choices_of(*option);
    if (!choices.empty())
      out += fmt::format("        {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", names,
                         fmt::join(choices, " "));
    else if (takes_file(*option))
      out += fmt::format("        {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", names);
    else
      out += fmt::format("        {}) return ;;\n", names);
  }
  return out.empty() ? "" : "      case $before in\n" + out + "      esac\n";
}

} // namespace

std::string bash_completions(const CLI::App& app) {
  std::vector<std::string> commands;
  for (const CLI::App* command : commands_of(app)) commands.push_back(command->get_name());
  std::string out = fmt::format(R"(# bash completions of checkvalve
_checkvalve() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
)",
                                fmt::join(commands, " "));
  for (const CLI::App* command : commands_of(app)) {
    std::vector<std::string> names;
    for (const CLI::Option* option : options_of(*command))
      for (std::string& name : all_names(*option)) names.push_back(std::move(name));
    std::vector<std::string> words; // of a positional with choices
    for (const CLI::Option* option : command->get_options())
      if (option->get_positional()) words = choices_of(*option);
    out += fmt::format("    {})\n{}      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n",
                       command->get_name(), bash_values(*command), fmt::join(names, " "));
    out += words.empty()
               ? "      else COMPREPLY=($(compgen -f -- \"$word\")); fi ;;\n"
               : fmt::format("      else COMPREPLY=($(compgen -W '{}' -- \"$word\")); fi ;;\n", fmt::join(words, " "));
  }
  return out + "  esac\n}\ncomplete -o filenames -F _checkvalve checkvalve\n";
}

std::string zsh_completions(const CLI::App& app) {
  std::string out = "#compdef checkvalve\n_checkvalve() {\n  local -a commands=(\n";
  for (const CLI::App* command : commands_of(app))
    out += "    " + single_quoted(command->get_name() + ":" + zsh_text(command->get_description())) + "\n";
  out += "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format("    {}) _arguments \\\n", command->get_name());
    for (const CLI::Option* option : options_of(*command)) {
      const auto choices = choices_of(*option);
      std::string value;
      if (!choices.empty())
        value = fmt::format(":value:({})", fmt::join(choices, " "));
      else if (takes_file(*option))
        value = ":file:_files";
      else if (!type_of(*option).empty())
        value = fmt::format(":{}:", zsh_text(type_of(*option)));
      for (const std::string& name : all_names(*option))
        out += "      " + single_quoted(fmt::format("*{}[{}]{}", name, zsh_text(option->get_description()), value)) +
               " \\\n";
    }
    std::vector<std::string> words;
    for (const CLI::Option* option : command->get_options())
      if (option->get_positional()) words = choices_of(*option);
    out +=
        words.empty() ? "      '*:file:_files' ;;\n" : fmt::format("      '*:value:({})' ;;\n", fmt::join(words, " "));
  }
  return out + "  esac\n}\ncompdef _checkvalve checkvalve\n";
}

std::string fish_completions(const CLI::App& app) {
  std::string out = "# fish completions of checkvalve\n";
  for (const CLI::App* command : commands_of(app))
    out += fmt::format("complete -c checkvalve -n __fish_use_subcommand -f -a {} -d {}\n", command->get_name(),
                       single_quoted(command->get_description()));
  for (const CLI::App* command : commands_of(app)) {
    const std::string when =
        fmt::format("complete -c checkvalve -n '__fish_seen_subcommand_from {}'", command->get_name());
    for (const CLI::Option* option : options_of(*command)) {
      const auto choices = choices_of(*option);
      std::string value;
      if (!choices.empty())
        value = fmt::format(" -x -a '{}'", fmt::join(choices, " "));
      else if (takes_file(*option))
        value = " -r";
      else if (!type_of(*option).empty())
        value = " -x";
      std::string names;
      for (const std::string& name : option->get_snames()) names += " -s " + name;
      for (const std::string& name : option->get_lnames()) names += " -l " + name;
      out += fmt::format("{}{}{} -d {}\n", when, names, value, single_quoted(option->get_description()));
    }
    for (const CLI::Option* option : command->get_options())
      if (option->get_positional() && !choices_of(*option).empty())
        out += fmt::format("{} -f -a '{}'\n", when, fmt::join(choices_of(*option), " "));
  }
  return out;
}

} // namespace checkvalve
