// The only file of the library that includes CLI11: whatever includes it compiles all of it.
//
// Texts are given to CLI11 as const strings: it takes another one for a variable that the option is to be stored in.
#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include <CLI/CLI.hpp>

#include "cli/printable.h"
#include "cli/settings.h"

namespace checkvalve {
namespace {

constexpr std::size_t help_name_columns = 30;
constexpr std::size_t help_text_columns = 60;

// CLI11 indents what follows a newline.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (column > 0 && column + 1 + end > help_text_columns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

class HelpFormatter : public CLI::Formatter {
public:
  HelpFormatter() {
    column_width(help_name_columns);
    label("REQUIRED", "(required)");
  }
  std::string make_option_desc(const CLI::Option* option) const override { return wrapped(option->get_description()); }
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    if (positional) return option->get_name(true);
    std::string names;
    for (const std::string& name : option->get_snames()) names += "-" + name + ", ";
    for (const std::string& name : option->get_lnames()) names += "--" + name + ", ";
    return names.substr(0, names.size() - 2);
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_items_expected_max() == 0 ? "" : option->get_type_name();
    return type.empty() ? "" : " " + type;
  }
};

// "did you mean '--checksum'?", or where to read on.
std::string suggestion(std::string_view word, const std::vector<std::string>& known, std::string_view command) {
  const std::string nearest = nearest_word(word, known);
  if (!nearest.empty()) return fmt::format("did you mean '{}'?", nearest);
  return fmt::format("see 'checkvalve {}{}--help'", command, command.empty() ? "" : " ");
}

Error command_error(const CommandLine& line, int argc, const char* const* argv) {
  if (argc == 1) return config_error("", "missing command", suggestion("", {}, ""));
  const std::string_view word = argv[1];
  if (word.starts_with('-'))
    return config_error("", fmt::format("unknown option '{}'", printable(word)), suggestion("", {}, ""));
  std::vector<std::string> known;
  for (const auto& each : line.commands()) known.push_back(each->name());
  return config_error("", fmt::format("unknown command '{}'", printable(word)), suggestion(word, known, ""));
}

Error option_error(const Command& command, const std::string& option) {
  std::vector<std::string> known;
  for (const Parameter& each : command.parameters())
    for (const std::string& name : each.all_names())
      if (name.starts_with("--")) known.push_back(name);
  const std::string name = option.substr(0, option.find('='));
  const std::string_view replacement = replacement_of(name.substr(std::min(name.find_first_not_of('-'), name.size())));
  const bool replaced = std::ranges::find(known, replacement.substr(0, replacement.find(' '))) != known.end();
  return config_error("", fmt::format("unknown option '{}' of 'checkvalve {}'", printable(name), command.name()),
                      replaced ? fmt::format("use {}", replacement) : suggestion(name, known, command.name()));
}

// What the command line of a known command lacks or has too much. The words of CLI11 are replaced by ours.
Error argument_error(const Command& command, const std::vector<std::string>& unparsed, const CLI::ParseError& problem) {
  for (const std::string& word : unparsed)
    if (word.starts_with("-")) return option_error(command, word);
  const std::string hint = suggestion("", {}, command.name());
  if (!unparsed.empty())
    return config_error("", fmt::format("unexpected argument '{}'", printable(unparsed.back())), hint);
  const std::string text = problem.what();
  const std::string first = text.substr(0, text.find_first_of(": "));
  if (problem.get_name() == "RequiredError") return config_error("", "missing " + printable(first), hint);
  if (problem.get_name() == "ArgumentMismatch")
    return config_error("", fmt::format("option '{}' requires a value", printable(first)), hint);
  return config_error("", printable(text), hint);
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](const std::string& word) {
        return std::ranges::find(words, word) != words.end()
                   ? std::string()
                   : fmt::format("invalid value '{}': expected one of {}", word, fmt::join(words, ", "));
      },
      "");
}

} // namespace

std::vector<std::string> choices_of(std::string_view value_name) {
  const bool lower =
      std::ranges::all_of(value_name, [](unsigned char c) { return (c >= 'a' && c <= 'z') || c == '|' || c == '-'; });
  if (!lower || value_name.find('|') == value_name.npos) return {};
  std::vector<std::string> words;
  while (!value_name.empty()) {
    const auto bar = std::min(value_name.find('|'), value_name.size());
    words.emplace_back(value_name.substr(0, bar));
    value_name.remove_prefix(std::min(bar + 1, value_name.size()));
  }
  return words;
}

std::vector<std::string> Parameter::all_names() const {
  std::vector<std::string> all;
  for (std::string_view rest = names; !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    std::string_view name = rest.substr(0, comma);
    if (name.starts_with('!')) name.remove_prefix(1);
    all.emplace_back(name);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return all;
}

std::string Parameter::shown_names() const { return fmt::format("{}", fmt::join(all_names(), ", ")); }

std::vector<std::string> Parameter::choices() const { return choices_of(value_name); }

void Command::add(const Parameter& parameter, CLI::Option& option) {
  option.type_name(parameter.value_name)->required(parameter.required);
  if (!parameter.is_argument()) option.group(parameter.group);
  option.multi_option_policy(parameter.repeatable ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
  parameters_.push_back(parameter);
}

void Command::flag(const Parameter& parameter, bool& value) {
  CLI::Option* flag = app_.add_flag_callback(parameter.names, [&value] { value = true; }, parameter.help);
  flag->group(parameter.group);
  parameters_.push_back(parameter);
}

void Command::add_text(const Parameter& parameter, std::function<void(const std::string&)> store) {
  const auto store_last = [store = std::move(store)](const CLI::results_t& results) {
    store(results.back());
    return true;
  };
  CLI::Option* option = app_.add_option(parameter.names, store_last, parameter.help);
  if (auto words = parameter.choices(); !words.empty()) option->check(one_of(std::move(words)));
  add(parameter, *option);
}

void Command::option(const Parameter& parameter, std::string& value) {
  add_text(parameter, [&value](const std::string& text) { value = text; });
}

void Command::option(const Parameter& parameter, std::optional<std::string>& value) {
  add_text(parameter, [&value](const std::string& text) { value = text; });
}

void Command::integer(const Parameter& parameter, std::uint64_t min, std::uint64_t max,
                      std::function<void(std::uint64_t)> store) {
  const auto store_all = [min, max, store = std::move(store)](const CLI::results_t& results) {
    for (const std::string& text : results) store(*parse_integer(text, min, max));
    return true;
  };
  CLI::Option* option = app_.add_option(parameter.names, store_all, parameter.help);
  option->check(CLI::Validator(
      [min, max](const std::string& text) {
        const auto parsed = parse_integer(text, min, max);
        return parsed ? std::string() : parsed.error().message;
      },
      ""));
  add(parameter, *option);
}

void Command::declare(const Parameter& parameter, bool is_flag) {
  if (is_flag) {
    app_.add_flag(parameter.names, parameter.help)->group(parameter.group);
    parameters_.push_back(parameter);
  } else {
    add(parameter, *app_.add_option(parameter.names, parameter.help));
  }
}

std::string Command::name() const { return app_.get_name(); }
std::string Command::description() const { return app_.get_description(); }

std::vector<std::pair<std::string, std::string>> Command::given() const {
  std::vector<std::pair<std::string, std::string>> given;
  std::map<const CLI::Option*, std::size_t> seen;
  for (const CLI::Option* option : app_.parse_order()) {
    const std::size_t index = seen[option]++;
    if (index < option->results().size()) given.emplace_back(option->get_single_name(), option->results()[index]);
  }
  return given;
}

std::vector<ParameterGroup> option_groups(const Command& command) {
  std::vector<ParameterGroup> groups;
  for (const Parameter& each : command.parameters()) {
    if (each.is_argument()) continue;
    auto group = std::ranges::find(groups, each.group, &ParameterGroup::name);
    if (group == groups.end()) group = groups.insert(groups.end(), {each.group, {}});
    group->parameters.push_back(&each);
  }
  return groups;
}

CommandLine::CommandLine(std::string name, std::string description, const std::string& version, std::string footer)
    : app_(std::make_unique<CLI::App>(std::move(description), std::move(name))) {
  app_->formatter(std::make_shared<HelpFormatter>());
  app_->set_help_flag("-h,--help", "show this help");
  app_->set_version_flag("--version", version, "show the version");
  app_->require_subcommand(1);
  app_->footer(std::move(footer));
}

CommandLine::~CommandLine() = default;

Command& CommandLine::add(std::string name, std::string description) {
  CLI::App* app = app_->add_subcommand(std::move(name), std::move(description));
  Command& command = *commands_.emplace_back(std::make_unique<Command>(*app));
  command.parameters_.push_back({.names = "-h,--help", .help = "show this help"});
  return command;
}

const Command* CommandLine::find(std::string_view name) const {
  for (const auto& command : commands_)
    if (command->name() == name) return command.get();
  return nullptr;
}

std::string CommandLine::description() const { return app_->get_description(); }

Result<const Command*> CommandLine::parse(int argc, const char* const* argv) {
  for (const auto& command : commands_)
    command->app_.footer(command->examples_.empty()
                             ? std::string()
                             : fmt::format("Example{}:\n  {}\n", command->examples_.size() == 1 ? "" : "s",
                                           fmt::join(command->examples_, "\n  ")));
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& wanted) { // --help, --version
    app_->exit(wanted);
    return nullptr;
  } catch (const CLI::ParseError& problem) {
    for (int i = 1; i < argc; ++i)
      if (const Command* command = find(argv[i]))
        return Failure(argument_error(*command, command->app_.remaining(), problem));
    return Failure(command_error(*this, argc, argv));
  }
  return find(app_->get_subcommands().front()->get_name());
}

} // namespace checkvalve
