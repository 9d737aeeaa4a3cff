// Settings: what a sync is told, by [defaults], by [job.NAME] and by the command line, in this order. One table of
// settings serves the command line's options, the config's keys, --help, the man page and the reference pages.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "sync/job.h"

namespace checkvalve {

struct Settings {
  std::string source; // as written: a URL, a path or NAME:path; may hold {date}
  std::string target;
  std::string date;                                  // as written (cli/dates.h); empty: none
  Job job;                                           // all but its endpoints and its list of files
  std::vector<std::string> files;                    // --file
  std::string files_from;                            // a file's name, "-" for standard input, or empty
  bool files_nul = false;                            // the list's names end with NUL instead of a newline
  bool files_escaped = false;                        // names are written with \xNN for bytes
  std::map<std::string, std::string> source_options; // backend options of one side
  std::map<std::string, std::string> target_options;
  std::map<std::string, std::string> shared_options; // of each side whose backend declares them
  std::string state;                                 // where the state is; empty: the default place
};

enum class SettingKind { value, list, flag, on_off }; // flag: --x; on_off: --x and --no-x; list: repeatable

struct Setting {
  std::string_view key; // in the config; the option is the same with '-' for '_' and "--" in front
  SettingKind kind = SettingKind::value;
  std::string_view value_name; // "SIZE", or the choices: "auto|always|never"
  std::string_view group;
  std::string_view help;          // one line
  std::string_view default_value; // as a user would write it; empty: none
  bool for_run = false;           // `checkvalve run` takes it as well: it does not change what the plan says
  bool for_config = true;         // may stand in a config's [defaults] and [job.NAME]
  // The message of an error says what is wrong with `value`; the place is added by apply_settings.
  Result<void> (*apply)(Settings& settings, std::string_view value) = nullptr;
  bool for_command_line = true; // source and target are arguments there, no options

  std::string option() const; // "--min-age"
};

std::span<const Setting> all_settings();
const Setting* find_setting(std::string_view key);

// One value given to a setting, and where: "--min-age", "checkvalve.toml:12: min_age".
struct Assignment {
  const Setting* setting = nullptr;
  std::string value;
  std::string place;
};

// Applies one level. A list that this level gives replaces the list of the levels before it; include and exclude are
// one list. Error kind config, with the place as its path.
Result<void> apply_settings(Settings& settings, std::span<const Assignment> assignments);

// The known word that is nearest to `word` by edit distance, or empty if none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

Error config_error(std::string place, std::string message);

} // namespace checkvalve
