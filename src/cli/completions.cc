#include "cli/completions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/reference.h"

namespace checkvalve {
namespace {

std::vector<const Parameter*> options_of(const Command& command) {
  std::vector<const Parameter*> options;
  for (const ParameterGroup& group : option_groups(command))
    options.insert(options.end(), group.parameters.begin(), group.parameters.end());
  return options;
}

// The values of the command's argument that has choices.
std::vector<std::string> argument_choices(const Command& command) {
  for (const Parameter& each : command.parameters())
    if (each.is_argument() && !each.choices().empty()) return each.choices();
  return {};
}

bool takes_file(const Parameter& option) {
  const std::string& type = option.value_name;
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

std::string bash_values(const Command& command) {
  std::string out;
  for (const Parameter* option : options_of(command)) {
    if (option->value_name.empty()) continue;
    const std::string names = fmt::format("{}", fmt::join(option->all_names(), "|"));
    const auto choices = option->choices();
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

std::string bash_completions(const CommandLine& line) {
  std::vector<std::string> commands;
  for (const auto& command : line.commands()) commands.push_back(command->name());
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
  for (const auto& command : line.commands()) {
    std::vector<std::string> names;
    for (const Parameter* option : options_of(*command))
      for (std::string& name : option->all_names()) names.push_back(std::move(name));
    const std::vector<std::string> words = argument_choices(*command);
    out += fmt::format("    {})\n{}      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n",
                       command->name(), bash_values(*command), fmt::join(names, " "));
    out += words.empty()
               ? "      else COMPREPLY=($(compgen -f -- \"$word\")); fi ;;\n"
               : fmt::format("      else COMPREPLY=($(compgen -W '{}' -- \"$word\")); fi ;;\n", fmt::join(words, " "));
  }
  return out + "  esac\n}\ncomplete -o filenames -F _checkvalve checkvalve\n";
}

std::string zsh_completions(const CommandLine& line) {
  std::string out = "#compdef checkvalve\n_checkvalve() {\n  local -a commands=(\n";
  for (const auto& command : line.commands())
    out += "    " + single_quoted(command->name() + ":" + zsh_text(command->description())) + "\n";
  out += "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n";
  for (const auto& command : line.commands()) {
    out += fmt::format("    {}) _arguments \\\n", command->name());
    for (const Parameter* option : options_of(*command)) {
      const auto choices = option->choices();
      std::string value;
      if (!choices.empty())
        value = fmt::format(":value:({})", fmt::join(choices, " "));
      else if (takes_file(*option))
        value = ":file:_files";
      else if (!option->value_name.empty())
        value = fmt::format(":{}:", zsh_text(option->value_name));
      for (const std::string& name : option->all_names())
        out += "      " + single_quoted(fmt::format("*{}[{}]{}", name, zsh_text(option->help), value)) + " \\\n";
    }
    const std::vector<std::string> words = argument_choices(*command);
    out +=
        words.empty() ? "      '*:file:_files' ;;\n" : fmt::format("      '*:value:({})' ;;\n", fmt::join(words, " "));
  }
  return out + "  esac\n}\ncompdef _checkvalve checkvalve\n";
}

std::string fish_completions(const CommandLine& line) {
  std::string out = "# fish completions of checkvalve\n";
  for (const auto& command : line.commands())
    out += fmt::format("complete -c checkvalve -n __fish_use_subcommand -f -a {} -d {}\n", command->name(),
                       single_quoted(command->description()));
  for (const auto& command : line.commands()) {
    const std::string when = fmt::format("complete -c checkvalve -n '__fish_seen_subcommand_from {}'", command->name());
    for (const Parameter* option : options_of(*command)) {
      const auto choices = option->choices();
      std::string value;
      if (!choices.empty())
        value = fmt::format(" -x -a '{}'", fmt::join(choices, " "));
      else if (takes_file(*option))
        value = " -r";
      else if (!option->value_name.empty())
        value = " -x";
      std::string names;
      for (const std::string& name : option->all_names())
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      out += fmt::format("{}{}{} -d {}\n", when, names, value, single_quoted(option->help));
    }
    if (const auto words = argument_choices(*command); !words.empty())
      out += fmt::format("{} -f -a '{}'\n", when, fmt::join(words, " "));
  }
  return out;
}

} // namespace checkvalve
