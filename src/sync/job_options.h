// The options of a job. Each stands here once: the command line, the config, the reference pages, the completions, the
// plan's JSON and the option objects of the Python package are made from this table.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "sync/job.h"

namespace checkvalve {

enum class OptionKind : std::uint8_t {
  value,
  list,   // repeatable
  on_off, // --name and --no-name; true or false in a config
  flag,   // --name; true or false in a config
};

// The commands that take an option, as bits.
namespace takes {
inline constexpr unsigned sync = 1; // and plan
inline constexpr unsigned run = 2;  // what may differ from one run of a plan to the next
inline constexpr unsigned verify = 4;
inline constexpr unsigned endpoint = 8; // ls and doctor: a single endpoint, read as a source
inline constexpr unsigned trust = 16;
inline constexpr unsigned sweep = 32;
inline constexpr unsigned status = 64;
} // namespace takes

// What people see of an option.
struct OptionText {
  std::string_view name; // of the config's key, of the JSON and of the Python field: "min_age"
  OptionKind kind = OptionKind::value;
  std::string value_name;    // "SIZE", or the choices: "auto|always|never"; empty for a switch
  std::string_view group;    // heading in --help
  std::string_view help;     // one line, without a full stop
  unsigned commands = 0;     // bits of namespace takes
  std::string default_value; // as a user would write it; empty: none

  std::string flag() const; // "--min-age"
};

// Names of options with values in their text form.
using OptionAssignments = std::vector<std::pair<std::string, std::string>>;

struct JobOption : OptionText {
  // Sets the option, or adds to a list. Error kind config; its message says what is wrong with the value.
  std::function<Result<void>(Job&, std::string_view)> read;
  // Appends what read() takes to give the same job; nothing for an option that is not set.
  std::function<void(const Job&, OptionAssignments&)> write;
};

// In the order of --help. `exclude` writes and reads a rule of the same list as `include`.
std::span<const JobOption> job_options();
const JobOption* find_job_option(std::string_view name);

// An integer in a range, as options read it. Error kind config.
Result<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min, std::uint64_t max);
// "true" or "false". Error kind config.
Result<bool> parse_switch(std::string_view text);

} // namespace checkvalve
