#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "core/path.h"
#include "core/units.h"
#include "transforms/registry.h"

namespace checkvalve {
namespace {

Failure wrong(std::string message) { return Failure(config_error("", std::move(message))); }

// Passes on only the message: the place is known to the caller.
template <class T, class To> Result<void> store(Result<T> parsed, To& to) {
  if (!parsed) return wrong(std::move(parsed.error().message));
  to = static_cast<To>(*parsed);
  return {};
}

template <class T> Result<T> parse_count(std::string_view text, T least, T most) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    return wrong(fmt::format("'{}' is no whole number from {} to {}", text, least, most));
  return value;
}

Result<bool> parse_flag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return wrong(fmt::format("'{}' is neither true nor false", text));
}

template <class T> struct Choice {
  std::string_view word;
  T value;
};

template <class T, std::size_t N> Result<T> parse_choice(std::string_view text, const Choice<T> (&choices)[N]) {
  std::string known;
  for (const auto& choice : choices) {
    if (choice.word == text) return choice.value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", choice.word);
  }
  return wrong(fmt::format("'{}' is none of: {}", text, known));
}

Result<void> add_rule(Settings& settings, bool include, std::string_view glob) {
  if (glob.empty()) return wrong("an empty pattern matches nothing: leave the option out");
  if (auto ok = check_glob(glob); !ok) return wrong(std::move(ok.error().message));
  settings.job.selection.rules.push_back({include, std::string(glob)});
  return {};
}

Result<void> add_option(std::map<std::string, std::string>& options, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos || equals == 0)
    return wrong(fmt::format("'{}' is no KEY=VALUE, e.g. connections=2 (`checkvalve backends` lists the keys)", text));
  options[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  return {};
}

Result<void> add_transform(Job& job, std::string_view text) {
  auto call = parse_transform_call(text);
  if (!call) return wrong(std::move(call.error().message));
  if (auto made = make_transform(*call); !made) return wrong(fmt::format("{}: {}", call->name, made.error().message));
  job.transforms.push_back(std::move(*call));
  return {};
}

Result<void> set_preserve(Job& job, std::string_view text) {
  job.preserve_mtime = job.preserve_mode = false;
  if (text == "none") return {};
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    if (word == "mtime")
      job.preserve_mtime = true;
    else if (word == "mode")
      job.preserve_mode = true;
    else
      return wrong(fmt::format("'{}' is none of: mtime, mode, none", word));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

Result<void> set_connections(std::map<std::string, std::string>& options, std::string_view text) {
  CV_TRY(const auto count, parse_count<unsigned>(text, 1, 64));
  options["connections"] = fmt::format("{}", count);
  return {};
}

Result<void> set_path(std::map<std::string, std::string>& options, const char* name, std::string_view text) {
  if (text.empty()) return wrong("an empty file name");
  options[name] = std::string(text);
  return {};
}

using S = Settings&;
using V = std::string_view;

constexpr auto value = SettingKind::value;
constexpr auto list = SettingKind::list;
constexpr auto flag = SettingKind::flag;
constexpr auto on_off = SettingKind::on_off;

constexpr std::string_view selection = "Which files";
constexpr std::string_view comparing = "What is done with them";
constexpr std::string_view transforming = "What becomes of their content";
constexpr std::string_view transfer = "Transfer";
constexpr std::string_view batches = "Batches";
constexpr std::string_view endpoints = "Endpoints";
constexpr std::string_view state_group = "State";

constexpr Setting table[] = {
    {"source", value, "URL|NAME:path", endpoints, "where files come from; may hold {date}", "", false, true,
     [](S s, V v) -> Result<void> {
       s.source = v;
       return {};
     },
     false},
    {"target", value, "URL|NAME:path", endpoints, "where files go; may hold {date}", "", false, true,
     [](S s, V v) -> Result<void> {
       s.target = v;
       return {};
     },
     false},
    {"date", value, "DATE", selection,
     "the date that {date} stands for: 2024-03-01, a range 2024-03-01..2024-03-03, today, yesterday or last-7-days", "",
     false, true,
     [](S s, V v) -> Result<void> {
       s.date = v;
       return {};
     }},
    {"include", list, "GLOB", selection, "take files that match; the first --include or --exclude that matches decides",
     "", false, true, [](S s, V v) { return add_rule(s, true, v); }},
    {"exclude", list, "GLOB", selection, "leave files that match", "", false, true,
     [](S s, V v) { return add_rule(s, false, v); }},
    {"file", list, "PATH", selection, "take this file, relative to the source root, instead of listing folders", "",
     false, true,
     [](S s, V v) -> Result<void> {
       s.files.emplace_back(v);
       return {};
     }},
    {"files_from", value, "FILE|-", selection, "take the files of a list, one a line, relative to the source root", "",
     false, true,
     [](S s, V v) -> Result<void> {
       s.files_from = v;
       return {};
     }},
    {"from0", flag, "", selection, "names in --files-from end with NUL instead of a newline", "", false, true,
     [](S s, V v) { return store(parse_flag(v), s.files_nul); }},
    {"escaped", flag, "", selection, "read \\xNN and \\\\ in --file and --files-from as the bytes they stand for", "",
     false, true, [](S s, V v) { return store(parse_flag(v), s.files_escaped); }},
    {"min_age", value, "DURATION", selection, "leave files that were modified more recently than this", "", false, true,
     [](S s, V v) { return store(parse_duration(v), s.job.selection.min_age.emplace()); }},
    {"min_size", value, "SIZE", selection, "leave smaller files", "", false, true,
     [](S s, V v) { return store(parse_size(v), s.job.selection.min_size_bytes); }},
    {"max_size", value, "SIZE", selection, "leave larger files", "", false, true,
     [](S s, V v) { return store(parse_size(v), s.job.selection.max_size_bytes.emplace()); }},

    {"checksum", on_off, "", comparing, "compare content instead of size and modification time", "false", false, true,
     [](S s, V v) { return store(parse_flag(v), s.job.checksum); }},
    {"on_conflict", value, "overwrite|skip|fail", comparing,
     "what to do with a name that the target has with other content", "overwrite", false, true,
     [](S s, V v) {
       return store(
           parse_choice<OnConflict>(
               v, {{"overwrite", OnConflict::overwrite}, {"skip", OnConflict::skip}, {"fail", OnConflict::fail}}),
           s.job.on_conflict);
     }},
    {"overwrite", value, "atomic|non-atomic", comparing,
     "non-atomic: overwrite even where the server can't do it in one step", "atomic", false, true,
     [](S s, V v) {
       return store(parse_choice<bool>(v, {{"atomic", false}, {"non-atomic", true}}), s.job.overwrite_non_atomic);
     }},
    {"links", value, "skip|follow|copy", comparing, "what to do with symbolic links", "skip", false, true,
     [](S s, V v) {
       return store(parse_choice<LinkPolicy>(
                        v, {{"skip", LinkPolicy::skip}, {"follow", LinkPolicy::follow}, {"copy", LinkPolicy::copy}}),
                    s.job.links);
     }},
    {"empty_dirs", on_off, "", comparing, "create folders that hold no selected file", "false", false, true,
     [](S s, V v) { return store(parse_flag(v), s.job.empty_directories); }},
    {"preserve", value, "LIST", comparing, "what a file keeps: mtime, mode, both (mtime,mode) or none", "mtime", false,
     true, [](S s, V v) { return set_preserve(s.job, v); }},
    {"verify", value, "size|hash|readback", comparing,
     "how each file is checked: its size, the digest that the target tells of it, or its content read back", "size",
     false, true,
     [](S s, V v) {
       return store(
           parse_choice<VerifyMode>(
               v, {{"size", VerifyMode::size}, {"hash", VerifyMode::hash}, {"readback", VerifyMode::readback}}),
           s.job.verify);
     }},
    {"durable", on_off, "", comparing, "make files survive power loss (fsync) where the target can", "true", false,
     true, [](S s, V v) { return store(parse_flag(v), s.job.durable); }},

    {"transform", list, "CALL", transforming,
     "change files on their way: NAME key=value key='quoted value'; several make a chain; see checkvalve transforms",
     "", false, true, [](S s, V v) { return add_transform(s.job, v); }},

    {"memory", value, "SIZE", transfer, "buffers for file content", "64MiB", true, true,
     [](S s, V v) -> Result<void> {
       CV_TRY(const auto bytes, parse_size(v));
       if (bytes < (1 << 20)) return wrong(fmt::format("'{}' is too little: give 1MiB or more", v));
       s.job.memory_bytes = bytes;
       return {};
     }},
    {"bwlimit", value, "RATE", transfer, "bytes a second at most, e.g. 10MiB/s; off: no limit", "off", true, true,
     [](S s, V v) { return store(parse_rate(v), s.job.bytes_per_second); }},
    {"retries", value, "N", transfer, "tries after the first, of a file and of a connection", "4", true, true,
     [](S s, V v) { return store(parse_count<std::uint32_t>(v, 0, 1000), s.job.retries); }},
    {"stall_timeout", value, "DURATION", transfer, "give up an operation that hears nothing for this long", "1m", true,
     true, [](S s, V v) { return store(parse_duration(v), s.job.stall_timeout); }},
    {"connect_timeout", value, "DURATION", transfer, "give up a connection that is not ready after this long", "20s",
     true, true, [](S s, V v) { return store(parse_duration(v), s.job.connect_timeout); }},

    {"batch_files", value, "N", batches, "files of a batch at most", "5000", false, true,
     [](S s, V v) { return store(parse_count<std::uint64_t>(v, 1, 1'000'000'000), s.job.batching.max_files); }},
    {"batch_bytes", value, "SIZE", batches, "bytes of a batch at most, unless one file is larger", "4GiB", false, true,
     [](S s, V v) -> Result<void> {
       CV_TRY(const auto bytes, parse_size(v));
       if (bytes == 0) return wrong("a batch of 0 bytes holds nothing: give a size");
       s.job.batching.max_bytes = bytes;
       return {};
     }},
    {"max_batches", value, "N", batches, "batches at most; wins over the two bounds above", "1000", false, true,
     [](S s, V v) { return store(parse_count<std::uint32_t>(v, 1, 1'000'000), s.job.batching.max_batches); }},
    {"lease_ttl", value, "DURATION", batches, "how long a worker that fell silent keeps its batch", "1m", true, true,
     [](S s, V v) -> Result<void> {
       CV_TRY(const auto ttl, parse_duration(v));
       if (ttl < std::chrono::seconds(1)) return wrong(fmt::format("'{}' is too short: give 1s or more", v));
       s.job.lease_ttl = ttl;
       return {};
     }},

    {"source_connections", value, "N", endpoints, "connections to the source at most", "", true, true,
     [](S s, V v) { return set_connections(s.source_options, v); }},
    {"target_connections", value, "N", endpoints, "connections to the target at most", "", true, true,
     [](S s, V v) { return set_connections(s.target_options, v); }},
    {"identity", value, "FILE", endpoints, "private key to log in with, on both sides", "", true, true,
     [](S s, V v) { return set_path(s.shared_options, "identity", v); }},
    {"known_hosts", value, "FILE", endpoints, "host keys to trust, on both sides", "", true, true,
     [](S s, V v) { return set_path(s.shared_options, "known_hosts", v); }},
    {"source_option", list, "KEY=VALUE", endpoints, "an option of the source's backend (`checkvalve backends`)", "",
     true, false, [](S s, V v) { return add_option(s.source_options, v); }},
    {"target_option", list, "KEY=VALUE", endpoints, "an option of the target's backend", "", true, false,
     [](S s, V v) { return add_option(s.target_options, v); }},

    {"state", value, "PATH|URL", state_group,
     "where plans and progress are kept: a file, sqlite:///absolute/path or postgresql://…",
     "$XDG_STATE_HOME/checkvalve/state.db", true, true,
     [](S s, V v) -> Result<void> {
       s.state = v;
       return {};
     }},
};

bool is_rule(const Setting& setting) { return setting.key == "include" || setting.key == "exclude"; }

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

std::string Setting::option() const {
  std::string out = "--" + std::string(key);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::span<const Setting> all_settings() { return table; }

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : table)
    if (setting.key == key) return &setting;
  return nullptr;
}

Result<void> apply_settings(Settings& settings, std::span<const Assignment> assignments) {
  bool rules_replaced = false;
  bool files_replaced = false;
  bool transforms_replaced = false;
  for (const auto& [setting, text, place] : assignments) {
    if (is_rule(*setting) && !std::exchange(rules_replaced, true)) settings.job.selection.rules.clear();
    if ((setting->key == "file" || setting->key == "files_from") && !std::exchange(files_replaced, true)) {
      settings.files.clear();
      settings.files_from.clear();
    }
    if (setting->key == "transform" && !std::exchange(transforms_replaced, true)) settings.job.transforms.clear();
    if (auto ok = setting->apply(settings, text); !ok)
      return Failure(config_error(place, std::move(ok.error().message)));
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

Error config_error(std::string place, std::string message) {
  return make_error(ErrorKind::config, "", std::move(place), std::move(message));
}

} // namespace checkvalve
