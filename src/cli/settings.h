// Settings: what [defaults], [job.NAME] and the command line say, in this order. The table of settings holds the job's
// options (sync/job_options.h) and those that say where things are; the command line, the config, --help, the man page,
// the reference pages and the Python package are made from it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "sync/job.h"
#include "sync/job_options.h"

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
  std::map<std::string, std::string> source_options; // backend options of one endpoint
  std::map<std::string, std::string> target_options;
  std::map<std::string, std::string> shared_options; // of each endpoint whose backend declares them
  std::string state;                                 // where the state is; empty: the default place
};

struct Setting : OptionText {
  bool in_config = true; // in [defaults] and [job.NAME]
  bool on_command_line = true;
  // The message of an error says what is wrong with the value; its place is added by apply_settings.
  std::function<Result<void>(Settings&, std::string_view)> apply;
};

std::span<const Setting> all_settings();
const Setting* find_setting(std::string_view name);

// The option that does what a name of another version did: "--on-conflict overwrite-non-atomic". Empty if none.
std::string_view replacement_of(std::string_view name);

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

Error config_error(std::string place, std::string message, std::string hint = "");

} // namespace checkvalve
