#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

namespace checkvalve {
namespace {

using Options = std::map<std::string, std::string>;

Failure invalid(std::string message) { return Failure(config_error("", std::move(message))); }

Result<void> set_switch(bool& to, std::string_view text) {
  CV_TRY(to, parse_switch(text));
  return {};
}

Result<void> add_option(Options& options, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos || equals == 0)
    return Failure(config_error("", fmt::format("invalid value '{}': expected KEY=VALUE", text),
                                "list the keys with: checkvalve backends"));
  options[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  return {};
}

Result<void> set_connections(Options& options, std::string_view text) {
  CV_TRY(const auto count, parse_integer(text, 1, 64));
  options["connections"] = fmt::format("{}", count);
  return {};
}

Result<void> set_path(Options& options, const char* name, std::string_view text) {
  if (text.empty()) return invalid("empty file name");
  options[name] = std::string(text);
  return {};
}

using S = Settings&;
using V = std::string_view;

// Sets a text as it is.
template <std::string Settings::* member> Result<void> set_text(S settings, V text) {
  settings.*member = std::string(text);
  return {};
}

std::vector<Setting> make_own_settings() {
  constexpr auto value = OptionKind::value;
  constexpr auto list = OptionKind::list;
  constexpr auto flag = OptionKind::flag;
  constexpr V selection = "Selection";
  constexpr V endpoints = "Endpoints";
  constexpr unsigned selects = takes::sync | takes::verify;
  constexpr unsigned both = takes::sync | takes::run | takes::verify;
  constexpr unsigned reads = both | takes::endpoint;
  constexpr unsigned writes = both | takes::sweep;
  return {
      {{"source", value, "URL|NAME:path", endpoints, "where to copy from; may contain {date}", selects},
       true,
       false,
       set_text<&Settings::source>},
      {{"target", value, "URL|NAME:path", endpoints, "where to copy to; may contain {date}", selects},
       true,
       false,
       set_text<&Settings::target>},
      {{"date", value, "DATE", selection,
        "value of {date}: 2024-03-01, a range 2024-03-01..2024-03-03, today, yesterday or last-7-days", selects},
       true,
       true,
       set_text<&Settings::date>},
      {{"file", list, "PATH", selection, "copy this file, relative to the source root, instead of listing directories",
        selects},
       true,
       true,
       [](S s, V v) -> Result<void> {
         s.files.emplace_back(v);
         return {};
       }},
      {{"files_from", value, "FILE|-", selection,
        "copy the files listed in FILE, one per line, relative to the source root", selects},
       true,
       true,
       set_text<&Settings::files_from>},
      {{"from0", flag, "", selection, "names in --files-from are separated by NUL bytes instead of newlines", selects},
       true,
       true,
       [](S s, V v) { return set_switch(s.files_nul, v); }},
      {{"escaped", flag, "", selection, "interpret \\xNN and \\\\ in --file and --files-from as escaped bytes",
        selects},
       true,
       true,
       [](S s, V v) { return set_switch(s.files_escaped, v); }},
      {{"source_connections", value, "N", endpoints, "maximum number of connections to the source", both},
       true,
       true,
       [](S s, V v) { return set_connections(s.source_options, v); }},
      {{"target_connections", value, "N", endpoints, "maximum number of connections to the target", writes},
       true,
       true,
       [](S s, V v) { return set_connections(s.target_options, v); }},
      {{"identity", value, "FILE", endpoints, "private key to log in with, at both endpoints", reads | writes},
       true,
       true,
       [](S s, V v) { return set_path(s.shared_options, "identity", v); }},
      {{"known_hosts", value, "FILE", endpoints, "file of trusted host keys, for both endpoints",
        reads | writes | takes::trust},
       true,
       true,
       [](S s, V v) { return set_path(s.shared_options, "known_hosts", v); }},
      {{"source_option", list, "KEY=VALUE", endpoints,
        "set an option of the source's backend; see 'checkvalve backends'", reads | takes::trust},
       false,
       true,
       [](S s, V v) { return add_option(s.source_options, v); }},
      {{"target_option", list, "KEY=VALUE", endpoints,
        "set an option of the target's backend; see 'checkvalve backends'", writes},
       false,
       true,
       [](S s, V v) { return add_option(s.target_options, v); }},
      {{"state", value, "PATH|URL", "State",
        "where to keep plans and history: a file, sqlite:///absolute/path or postgresql://user@host/name",
        writes | takes::status, "$XDG_STATE_HOME/checkvalve/state.db"},
       true,
       true,
       set_text<&Settings::state>},
  };
}

// Selection first, then the job's options, then where things are; --help has each group once.
std::vector<Setting> make_settings() {
  const std::vector<Setting> own = make_own_settings();
  const auto selects = [](const Setting& setting) { return setting.group == "Selection"; };
  std::vector<Setting> settings;
  std::ranges::copy_if(own, std::back_inserter(settings), selects);
  for (const JobOption& option : job_options())
    settings.push_back({option, true, true, [&option](S s, V v) { return option.read(s.job, v); }});
  std::ranges::copy_if(own, std::back_inserter(settings), std::not_fn(selects));
  return settings;
}

// What is one list: a value of one of them replaces all that the levels before gave.
std::string_view list_of(const Setting& setting) {
  if (setting.name == "include" || setting.name == "exclude") return "rules";
  if (setting.name == "file" || setting.name == "files_from") return "files";
  return setting.name == "transform" ? "transforms" : "";
}

void clear_list(Settings& settings, std::string_view list) {
  if (list == "rules") settings.job.selection.rules.clear();
  if (list == "transforms") settings.job.transforms.clear();
  if (list != "files") return;
  settings.files.clear();
  settings.files_from.clear();
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

} // namespace

std::span<const Setting> all_settings() {
  static const std::vector<Setting> settings = make_settings();
  return settings;
}

const Setting* find_setting(std::string_view name) {
  for (const Setting& setting : all_settings())
    if (setting.name == name) return &setting;
  return nullptr;
}

std::string_view replacement_of(std::string_view name) {
  return name == "overwrite" ? "--on-conflict overwrite-non-atomic" : "";
}

Result<void> apply_settings(Settings& settings, std::span<const Assignment> assignments) {
  std::vector<std::string_view> replaced;
  for (const auto& [setting, text, place] : assignments) {
    if (const auto list = list_of(*setting); std::find(replaced.begin(), replaced.end(), list) == replaced.end()) {
      clear_list(settings, list);
      replaced.push_back(list);
    }
    if (auto ok = setting->apply(settings, text); !ok)
      return Failure(config_error(place, std::move(ok.error().message), std::move(ok.error().hint)));
  }
  return {};
}

std::string nearest_word(std::string_view word, std::span<const std::string> known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Error config_error(std::string place, std::string message, std::string hint) {
  Error error = make_error(ErrorKind::config, "", std::move(place), std::move(message));
  error.hint = std::move(hint);
  return error;
}

} // namespace checkvalve
