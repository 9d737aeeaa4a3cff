// The command line: commands with their options and arguments, and the parser. The help, the man page, the reference
// pages and the completions are made of the same Parameters, so that they can't drift from what is parsed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace checkvalve {

// An option, or an argument without a name ("SOURCE").
struct Parameter {
  std::string names;      // "-R,--recursive"; "--mtimes,!--no-mtimes": the flag and its negation; "SOURCE": an argument
  std::string value_name; // "FILE"; "auto|always|never": the only values allowed; empty: a flag, or an argument
  std::string help;
  std::string group = "Options"; // heading in the help
  bool required = false;
  bool repeatable = false; // else, the last occurrence counts

  bool is_argument() const { return !names.starts_with('-'); }
  std::vector<std::string> all_names() const; // "-R", "--recursive", "--no-mtimes"
  std::string shown_names() const;            // "-R, --recursive"
  std::vector<std::string> choices() const;   // of the value
};

// "auto|always|never" → the words; empty for "FILE" and the like.
std::vector<std::string> choices_of(std::string_view value_name);

class Command {
public:
  explicit Command(CLI::App& app) : app_(app) {}

  // References to values must stay valid until parsing has ended. Values are stored by CommandLine::parse().
  void flag(const Parameter& parameter, bool& value);
  void option(const Parameter& parameter, std::string& value);
  void option(const Parameter& parameter, std::optional<std::string>& value);
  void integer(const Parameter& parameter, std::uint64_t min, std::uint64_t max,
               std::function<void(std::uint64_t)> store);
  void declare(const Parameter& parameter, bool is_flag); // its value is read from given()

  // The examples at the end of the help: lines of "checkvalve …".
  void examples(std::vector<std::string> lines) { examples_ = std::move(lines); }
  void action(std::function<int()> run) { run_ = std::move(run); } // returns the exit code

  std::string name() const;
  std::string description() const;
  const std::vector<std::string>& examples() const { return examples_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int run() const { return run_(); }

  // After parsing: each occurrence of an option in the order of the command line, as its first long name without the
  // hyphens and its value; "true" or "false" of a flag.
  std::vector<std::pair<std::string, std::string>> given() const;

private:
  friend class CommandLine;
  void add(const Parameter& parameter, CLI::Option& option);
  void add_text(const Parameter& parameter, std::function<void(const std::string&)> store);

  CLI::App& app_;
  std::vector<Parameter> parameters_;
  std::vector<std::string> examples_;
  std::function<int()> run_;
};

struct ParameterGroup {
  std::string name;
  std::vector<const Parameter*> parameters;
};
// The options of a command in their groups; without arguments.
std::vector<ParameterGroup> option_groups(const Command& command);

class CommandLine {
public:
  CommandLine(std::string name, std::string description, const std::string& version, std::string footer);
  ~CommandLine();

  Command& add(std::string name, std::string description);
  const std::vector<std::unique_ptr<Command>>& commands() const { return commands_; }
  const Command* find(std::string_view name) const; // null if there is none
  std::string description() const;

  // The chosen command; null if help or the version was asked for, which is then printed. Error kind config.
  Result<const Command*> parse(int argc, const char* const* argv);

private:
  std::unique_ptr<CLI::App> app_;
  std::vector<std::unique_ptr<Command>> commands_;
};

} // namespace checkvalve
