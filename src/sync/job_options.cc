#include "sync/job_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/units.h"
#include "transforms/registry.h"

namespace checkvalve {
namespace {

Failure invalid(std::string message, std::string hint = {}) {
  return Failure(make_error(ErrorKind::config, "", "", std::move(message)).with_hint(std::move(hint)));
}

// Only the message is kept: the caller knows where the value stands.
template <class T, class Field> Result<void> store(Result<T> parsed, Field& field) {
  if (!parsed) return invalid(std::move(parsed.error().message));
  field = *parsed;
  return {};
}

// The largest unit that gives the exact number.
std::string size_text(std::uint64_t bytes) {
  constexpr std::array units = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return fmt::format("{}{}", bytes, units.at(unit));
}

std::string duration_text(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  constexpr std::int64_t day_ms = 86'400'000;
  if (ms != 0 && ms % day_ms == 0) return fmt::format("{}d", ms / day_ms);
  if (ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  return ms % 1'000 == 0 ? fmt::format("{}s", ms / 1'000) : fmt::format("{}ms", ms);
}

constexpr std::array on_conflict_words = {"overwrite", "overwrite-non-atomic", "skip", "fail"};
constexpr std::array link_words = {"skip", "follow", "copy"};
constexpr std::array verify_words = {"size", "hash", "readback"};

// Rows of the table. `field` gives the job's field: a lambda, since some are nested.

JobOption with_default(JobOption option) {
  OptionAssignments defaults;
  option.write(Job{}, defaults);
  if (!defaults.empty()) option.default_value = defaults.front().second;
  return option;
}

template <class Read, class Text> JobOption row(OptionText text, Read read, Text write) {
  const std::string name(text.name);
  return with_default({std::move(text), std::move(read), [name, write](const Job& job, OptionAssignments& out) {
                         if (std::string value = write(job); !value.empty()) out.emplace_back(name, std::move(value));
                       }});
}

template <class Field> JobOption switch_row(OptionText text, Field field) {
  text.kind = OptionKind::on_off;
  return row(
      std::move(text), [field](Job& job, std::string_view value) { return store(parse_switch(value), field(job)); },
      [field](const Job& job) -> std::string { return field(job) ? "true" : "false"; });
}

template <std::size_t n, class Field>
JobOption choice_row(OptionText text, const std::array<const char*, n>& words, Field field) {
  text.value_name = fmt::format("{}", fmt::join(words, "|"));
  return row(
      std::move(text),
      [&words, field](Job& job, std::string_view value) -> Result<void> {
        const auto found = std::find(words.begin(), words.end(), value);
        if (found == words.end())
          return invalid(fmt::format("invalid value '{}': expected one of {}", value, fmt::join(words, ", ")));
        auto& choice = field(job);
        choice = static_cast<std::remove_reference_t<decltype(choice)>>(found - words.begin());
        return {};
      },
      [&words, field](const Job& job) -> std::string { return words.at(static_cast<std::size_t>(field(job))); });
}

template <class Field> JobOption integer_row(OptionText text, std::uint64_t min, std::uint64_t max, Field field) {
  text.value_name = "N";
  return row(
      std::move(text),
      [=](Job& job, std::string_view value) -> Result<void> {
        CV_TRY(const auto number, parse_integer(value, min, max));
        auto& integer = field(job);
        integer = static_cast<std::remove_reference_t<decltype(integer)>>(number);
        return {};
      },
      [field](const Job& job) { return fmt::format("{}", field(job)); });
}

template <class Field> JobOption size_row(OptionText text, std::uint64_t min, Field field) {
  text.value_name = "SIZE";
  return row(
      std::move(text),
      [=](Job& job, std::string_view value) -> Result<void> {
        const auto bytes = parse_size(value);
        if (bytes && *bytes < min)
          return invalid(fmt::format("invalid value '{}': expected at least {}", value, size_text(min)));
        return store(bytes, field(job));
      },
      [field](const Job& job) -> std::string {
        const std::optional<std::uint64_t> bytes = field(job);
        return bytes ? size_text(*bytes) : "";
      });
}

template <class Field> JobOption duration_row(OptionText text, std::chrono::milliseconds min, Field field) {
  text.value_name = "DURATION";
  return row(
      std::move(text),
      [=](Job& job, std::string_view value) -> Result<void> {
        const auto duration = parse_duration(value);
        if (duration && *duration < min)
          return invalid(fmt::format("invalid value '{}': expected at least {}", value, duration_text(min)));
        return store(duration, field(job));
      },
      [field](const Job& job) -> std::string {
        const std::optional<std::chrono::milliseconds> duration = field(job);
        return duration ? duration_text(*duration) : "";
      });
}

JobOption rule_row(OptionText text, bool include) {
  text.kind = OptionKind::list;
  text.value_name = "GLOB";
  JobOption option{std::move(text), {}, {}};
  option.read = [include](Job& job, std::string_view glob) -> Result<void> {
    if (glob.empty()) return invalid("empty pattern");
    auto parsed = Glob::parse(glob);
    if (!parsed) return invalid(std::move(parsed.error().message), std::move(parsed.error().hint));
    job.selection.rules.push_back({include, std::move(*parsed)});
    return {};
  };
  // Includes and excludes are one list, in which the order counts: one of the two options writes it all.
  option.write = [include](const Job& job, OptionAssignments& out) {
    if (include) return;
    for (const SelectionRule& rule : job.selection.rules)
      out.emplace_back(rule.include ? "include" : "exclude", rule.glob.text());
  };
  return option;
}

JobOption transform_row(OptionText text) {
  text.kind = OptionKind::list;
  text.value_name = "CALL";
  JobOption option{std::move(text), {}, {}};
  option.read = [](Job& job, std::string_view value) -> Result<void> {
    auto call = parse_transform_call(value);
    if (!call) return invalid(std::move(call.error().message));
    if (auto made = make_transform(*call); !made)
      return invalid(fmt::format("{}: {}", call->name, made.error().message));
    job.transforms.push_back(std::move(*call));
    return {};
  };
  option.write = [](const Job& job, OptionAssignments& out) {
    for (const TransformCall& call : job.transforms) out.emplace_back("transform", to_string(call));
  };
  return option;
}

Result<void> read_preserve(Job& job, std::string_view list) {
  bool mtime = false;
  bool mode = false;
  for (std::string_view rest = list; list != "none" && !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    const std::string_view word = rest.substr(0, comma);
    if (word != "mtime" && word != "mode")
      return invalid(fmt::format("invalid value '{}': expected mtime, mode, both with a comma, or none", list));
    (word == "mtime" ? mtime : mode) = true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  job.preserve_mtime = mtime;
  job.preserve_mode = mode;
  return {};
}

std::string preserve_text(const Job& job) {
  if (!job.preserve_mtime && !job.preserve_mode) return "none";
  return fmt::format("{}{}{}", job.preserve_mtime ? "mtime" : "", job.preserve_mtime && job.preserve_mode ? "," : "",
                     job.preserve_mode ? "mode" : "");
}

#define CV_FIELD(field) [](auto& job) -> auto& { return job.field; }

std::vector<JobOption> make_table() {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  constexpr auto value = OptionKind::value;
  constexpr unsigned selects = takes::sync | takes::verify;
  constexpr unsigned connects = takes::sync | takes::run | takes::verify | takes::sweep;
  constexpr unsigned copies = takes::sync | takes::run;

  std::vector<JobOption> table;
  auto add = [&](JobOption option) { table.push_back(std::move(option)); };

  constexpr std::string_view selection = "Selection";
  add(rule_row(
      {"exclude", value, "", selection, "skip files matching GLOB; the first matching pattern decides", selects},
      false));
  add(rule_row({"include", value, "", selection,
                "copy files matching GLOB; once there is an --include, skip files matching no pattern", selects},
               true));
  add(duration_row({"min_age", value, "", selection, "skip files modified less than DURATION ago", selects},
                   milliseconds(0), CV_FIELD(selection.min_age)));
  add(row(
      {"min_size", value, "SIZE", selection, "skip files smaller than SIZE", selects},
      [](Job& job, std::string_view text) { return store(parse_size(text), job.selection.min_size_bytes); },
      [](const Job& job) {
        return job.selection.min_size_bytes > 0 ? size_text(job.selection.min_size_bytes) : std::string();
      }));
  add(size_row({"max_size", value, "", selection, "skip files larger than SIZE", selects}, 0,
               CV_FIELD(selection.max_size_bytes)));
  add(integer_row(
      {"min_files", value, "", selection, "fail with exit code 4 if fewer than N files are selected", takes::sync}, 0,
      1'000'000'000, CV_FIELD(selection.min_files)));
  add(choice_row({"links", value, "", selection, "what to do with symbolic links", selects}, link_words,
                 CV_FIELD(links)));
  add(switch_row({"empty_dirs", value, "", selection, "create directories that hold no selected file", selects},
                 CV_FIELD(empty_directories)));

  constexpr std::string_view comparison = "Comparison and publishing";
  add(switch_row({"checksum", value, "", comparison, "compare content instead of size and modification time", selects},
                 CV_FIELD(checksum)));
  add(choice_row({"on_conflict", value, "", comparison,
                  "what to do with a file that differs at the target; overwrite-non-atomic: replace it even where the "
                  "target cannot do so in one step",
                  takes::sync},
                 on_conflict_words, CV_FIELD(on_conflict)));
  add(row({"preserve", value, "LIST", comparison, "attributes to preserve: mtime, mode, both (mtime,mode) or none",
           selects},
          read_preserve, preserve_text));
  add(choice_row({"verify", value, "", comparison,
                  "how to check each file before it counts as published: by its size, by the target's server-side "
                  "checksum, or by reading it back",
                  takes::sync},
                 verify_words, CV_FIELD(verify)));
  add(switch_row({"durable", value, "", comparison,
                  "flush files to stable storage (fsync) where the target supports it", takes::sync},
                 CV_FIELD(durable)));

  add(transform_row({"transform", value, "", "Transforms",
                     "change the content of files: NAME key=value key='quoted value'; may be repeated to make a chain; "
                     "see 'checkvalve transforms'",
                     selects}));

  constexpr std::string_view transfer = "Transfer";
  add(size_row({"memory", value, "", transfer, "memory for file content in flight", copies}, 1 << 20,
               CV_FIELD(memory_bytes)));
  add(row(
      {"bwlimit", value, "RATE", transfer, "limit the transfer rate, for example to 10MiB/s", copies | takes::verify},
      [](Job& job, std::string_view text) { return store(parse_rate(text), job.bytes_per_second); },
      [](const Job& job) {
        return job.bytes_per_second == 0 ? std::string("off") : size_text(job.bytes_per_second) + "/s";
      }));
  add(integer_row({"retries", value, "", transfer, "how often to retry a file or a connection", connects}, 0, 1'000,
                  CV_FIELD(retries)));
  add(duration_row({"stall_timeout", value, "", transfer, "abort an operation that makes no progress for DURATION",
                    connects | takes::endpoint},
                   milliseconds(0), CV_FIELD(stall_timeout)));
  add(duration_row({"connect_timeout", value, "", transfer, "abort a connection attempt after DURATION",
                    connects | takes::endpoint | takes::trust},
                   milliseconds(0), CV_FIELD(connect_timeout)));

  constexpr std::string_view batches = "Batches";
  add(integer_row({"batch_files", value, "", batches, "maximum number of files in a batch", takes::sync}, 1,
                  1'000'000'000, CV_FIELD(batching.max_files)));
  add(size_row(
      {"batch_bytes", value, "", batches, "maximum size of a batch, unless a single file is larger", takes::sync}, 1,
      CV_FIELD(batching.max_bytes)));
  add(integer_row({"max_batches", value, "", batches,
                   "maximum number of batches; takes precedence over --batch-files and --batch-bytes", takes::sync},
                  1, 1'000'000, CV_FIELD(batching.max_batches)));
  add(duration_row({"lease_ttl", value, "", batches, "how long the lease of a batch is valid unless renewed", copies},
                   seconds(1), CV_FIELD(lease_ttl)));

  constexpr std::string_view state = "State";
  add(duration_row(
      {"keep_plans", value, "", state, "remove plans, and runs, from the state after DURATION", takes::sync}, hours(1),
      CV_FIELD(keep_plans)));
  add(duration_row({"keep_history", value, "", state,
                    "remove records of published files from the state that no run needed for DURATION", takes::sync},
                   hours(1), CV_FIELD(keep_history)));
  return table;
}

#undef CV_FIELD

} // namespace

std::string OptionText::flag() const {
  std::string out = "--" + std::string(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::span<const JobOption> job_options() {
  static const std::vector<JobOption> table = make_table();
  return table;
}

const JobOption* find_job_option(std::string_view name) {
  for (const JobOption& option : job_options())
    if (option.name == name) return &option;
  return nullptr;
}

Result<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max)
    return invalid(fmt::format("invalid value '{}': expected an integer from {} to {}", text, min, max));
  return number;
}

Result<bool> parse_switch(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return invalid(fmt::format("invalid value '{}': expected true or false", text));
}

} // namespace checkvalve
