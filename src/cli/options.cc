#include "cli/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <map>

#include "cli/dates.h"
#include "cli/endpoints.h"
#include "cli/read_file.h"
#include "core/path.h"

namespace checkvalve {
namespace {

std::string described(const Setting& setting) {
  std::string text(setting.help);
  if (!setting.default_value.empty() && setting.kind != OptionKind::on_off)
    text += fmt::format(" [{}]", setting.default_value);
  if (setting.kind == OptionKind::on_off && setting.default_value == "true") text += " [on]";
  return text;
}

Result<std::string> read_list_text(const std::string& name) {
  std::string text;
  if (name == "-" ? read_all(STDIN_FILENO, text) : read_file(name, text)) return text;
  return Failure(config_error(
      "--files-from", fmt::format("cannot read {}: {}", name == "-" ? "standard input" : name, std::strerror(errno))));
}

// The list of files of a job; nothing if directories are listed.
Result<std::optional<std::vector<std::string>>> read_files(const Settings& settings) {
  if (!settings.files.empty() && !settings.files_from.empty())
    return Failure(config_error("--file", "cannot be used with --files-from"));
  if (settings.files_nul && settings.files_from.empty())
    return Failure(config_error("--from0", "can only be used with --files-from"));
  std::vector<std::string> names;
  if (!settings.files_from.empty()) {
    CV_TRY(const std::string text, read_list_text(settings.files_from));
    CV_TRY(names, parse_file_list(text, settings.files_nul, settings.files_escaped));
  } else if (!settings.files.empty()) {
    for (const std::string& file : settings.files) {
      CV_TRY(names.emplace_back(), settings.files_escaped ? unescape_bytes(file) : Result<std::string>(file));
    }
  } else {
    return std::nullopt;
  }
  for (std::string& name : names) {
    while (name.starts_with("./")) name.erase(0, 2);
    if (auto ok = check_tree_path(name); !ok)
      return Failure(config_error(settings.files.empty() ? "--files-from " + settings.files_from : "--file",
                                  fmt::format("invalid path '{}': {}", escape_bytes(name), ok.error().message)));
  }
  return names;
}

// {date} in patterns, and, with a date, in options of transforms.
Result<void> replace_dates_in(Job& job, const std::chrono::year_month_day* date) {
  for (SelectionRule& rule : job.selection.rules) {
    const std::string option = rule.include ? "--include" : "--exclude";
    auto text = replace_dates(rule.glob.text(), date);
    if (!text) return Failure(config_error(option, std::move(text.error().message), std::move(text.error().hint)));
    CV_TRY(rule.glob, Glob::parse(*text));
  }
  if (!date) return {};
  for (TransformCall& call : job.transforms)
    for (auto& [name, value] : call.options) {
      CV_TRY(value, replace_dates(value, date));
    }
  return {};
}

Result<Job> make_job(const Inputs& inputs, const std::chrono::year_month_day* date) {
  const Settings& settings = inputs.settings;
  Job job = settings.job;
  CV_CHECK(replace_dates_in(job, date));
  const EndpointInputs endpoint_inputs{inputs.config, inputs.secrets, settings};
  for (const Side side : {Side::source, Side::target}) {
    const std::string& text = side == Side::source ? settings.source : settings.target;
    auto expanded = expand_date(text, date);
    if (!expanded)
      return Failure(
          config_error(escape_bytes(text), std::move(expanded.error().message), std::move(expanded.error().hint)));
    Endpoint& endpoint = side == Side::source ? job.source : job.target;
    CV_TRY(endpoint, resolve_endpoint(*expanded, side, endpoint_inputs));
  }
  return job;
}

// What the command line says.
Result<void> apply_given(Inputs& inputs, const Command& command) {
  const std::vector<Assignment> given = given_settings(command);
  for (const Assignment& each : given)
    if (each.setting->name == "state") inputs.state_option = each.value;
  return apply_settings(inputs.settings, given);
}

Result<Inputs> read_config_and_secrets(const ProcessOptions& options) {
  Inputs inputs;
  CV_TRY(inputs.secrets, read_secrets(options.secrets_fd));
  CV_TRY(inputs.config, load_config(options.config));
  return inputs;
}

// --identity and the like must be options of at least one of the backends, unless they are defaults for all jobs.
Result<void> check_shared_options(const Inputs& inputs, const Job& job) {
  for (const auto& [key, unused] : inputs.settings.shared_options)
    if (!job.source.options.contains(key) && !job.target.options.contains(key) && !has_default(inputs.config, key))
      return Failure(config_error(find_setting(key)->flag(), fmt::format("neither {}:// nor {}:// has this option",
                                                                         job.source.scheme, job.target.scheme)));
  return {};
}

} // namespace

void add_process_options(Command& command, ProcessOptions& options, bool works) {
  const std::string group = "Input and output";
  command.option({.names = "--config",
                  .value_name = "FILE",
                  .help = "read the config from FILE [./checkvalve.toml, else $XDG_CONFIG_HOME/checkvalve/config.toml]",
                  .group = group},
                 options.config);
  command.flag({.names = "--json", .help = "print JSON on standard output instead of text", .group = group},
               options.json);
  command.integer({.names = "--secrets-fd",
                   .value_name = "N",
                   .help = "read secrets as JSON from file descriptor N",
                   .group = group},
                  0, INT_MAX, [&options](std::uint64_t fd) { options.secrets_fd = static_cast<int>(fd); });
  if (!works) return;
  command.option({.names = "--events",
                  .value_name = "FILE|fd:N",
                  .help = "write progress events as JSON lines to FILE or to file descriptor N",
                  .group = group},
                 options.events);
  command.option({.names = "--progress",
                  .value_name = "auto|always|never",
                  .help = "when to show progress on standard error; auto: if it is a terminal [auto]",
                  .group = group},
                 options.progress);
  command.flag({.names = "--die-with-parent", .help = "stop cleanly when the parent process ends", .group = group},
               options.die_with_parent);
}

void add_settings(Command& command, unsigned takes) {
  for (const Setting& setting : all_settings()) {
    if (!setting.on_command_line || !(setting.commands & takes)) continue;
    const bool on_off = setting.kind == OptionKind::on_off;
    const bool is_flag = on_off || setting.kind == OptionKind::flag;
    const std::string name = setting.flag();
    command.declare({.names = on_off ? fmt::format("{},!--no-{}", name, name.substr(2)) : name,
                     .value_name = is_flag ? std::string() : std::string(setting.value_name),
                     .help = described(setting),
                     .group = std::string(setting.group),
                     .repeatable = setting.kind == OptionKind::list},
                    is_flag);
  }
}

std::vector<Assignment> given_settings(const Command& command) {
  std::vector<Assignment> given;
  for (auto& [name, value] : command.given()) {
    std::string key = name;
    std::ranges::replace(key, '-', '_');
    const Setting* setting = find_setting(key);
    if (setting && setting->on_command_line) given.push_back({setting, std::move(value), setting->flag()});
  }
  return given;
}

void add_sync_arguments(Command& command, SyncArguments& arguments) {
  command.option({.names = "SOURCE", .help = "where to copy from: a URL, a path or NAME:path"}, arguments.source);
  command.option({.names = "TARGET", .help = "where to copy to: a URL, a path or NAME:path"}, arguments.target);
  command.option({.names = "--job",
                  .value_name = "NAME",
                  .help = "run [job.NAME] of the config; options given here take precedence",
                  .group = "Selection"},
                 arguments.job);
}

std::vector<Assignment> machine_settings(const Config& config) {
  std::vector<Assignment> kept = config.defaults;
  std::erase_if(kept, [](const Assignment& each) {
    return each.setting->name != "state" && each.setting->name != "identity" && each.setting->name != "known_hosts";
  });
  return kept;
}

Result<Inputs> read_machine_inputs(const Command& command, const ProcessOptions& options) {
  CV_TRY(Inputs inputs, read_config_and_secrets(options));
  CV_CHECK(apply_settings(inputs.settings, machine_settings(inputs.config)));
  CV_CHECK(apply_given(inputs, command));
  return inputs;
}

Result<Inputs> read_inputs(const Command& command, const ProcessOptions& options, const std::string& job_name) {
  CV_TRY(Inputs inputs, read_config_and_secrets(options));
  CV_CHECK(apply_settings(inputs.settings, inputs.config.defaults));
  if (!job_name.empty()) {
    const auto found = inputs.config.jobs.find(job_name);
    if (found == inputs.config.jobs.end()) {
      std::vector<std::string> known;
      for (const auto& [name, unused] : inputs.config.jobs) known.push_back(name);
      const std::string nearest = nearest_word(job_name, known);
      if (inputs.config.file.empty())
        return Failure(config_error("--job", "no config found", "give its name: --config FILE"));
      return Failure(config_error("--job", fmt::format("unknown job '{}' in {}", job_name, inputs.config.file),
                                  nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)));
    }
    inputs.settings.job.name = job_name;
    CV_CHECK(apply_settings(inputs.settings, found->second));
  }
  CV_CHECK(apply_given(inputs, command));
  return inputs;
}

Result<std::vector<DatedJob>> make_jobs(Inputs& inputs, const SyncArguments& arguments) {
  Settings& settings = inputs.settings;
  if (!arguments.source.empty()) settings.source = arguments.source;
  if (!arguments.target.empty()) settings.target = arguments.target;
  if (settings.source.empty() || settings.target.empty())
    return Failure(config_error("", settings.source.empty() ? "missing SOURCE" : "missing TARGET",
                                "give SOURCE and TARGET, or --job NAME of a config"));
  CV_TRY(settings.job.selection.files, read_files(settings));

  std::vector<DatedJob> jobs;
  if (settings.date.empty()) {
    CV_TRY(Job job, make_job(inputs, nullptr));
    jobs.push_back({"", std::move(job)});
  } else {
    const auto dated = [](const SelectionRule& rule) { return has_date(rule.glob.text()); };
    if (!has_date(settings.source) && !has_date(settings.target) &&
        std::ranges::none_of(settings.job.selection.rules, dated))
      return Failure(config_error("--date", "no {date} in SOURCE, TARGET, --include or --exclude",
                                  "write it where the date belongs, for example sftp://host/data/{date}"));
    auto dates = parse_dates(settings.date, today_local());
    if (!dates) return Failure(config_error("--date", std::move(dates.error().message), std::move(dates.error().hint)));
    if (dates->size() > 1 && (!has_date(settings.source) || !has_date(settings.target)))
      return Failure(config_error("--date", "a range of dates requires {date} in both SOURCE and TARGET"));
    for (const auto& date : *dates) {
      CV_TRY(Job job, make_job(inputs, &date));
      jobs.push_back({format_date(date), std::move(job)});
    }
  }
  CV_CHECK(check_shared_options(inputs, jobs.front().job));
  return jobs;
}

Result<std::vector<std::string>> parse_file_list(std::string_view text, bool nul, bool escaped) {
  const char separator = nul ? '\0' : '\n';
  std::vector<std::string> names;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    const std::string_view name = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (name.empty()) continue;
    if (!escaped) {
      names.emplace_back(name);
      continue;
    }
    auto plain = unescape_bytes(name);
    if (!plain)
      return Failure(config_error(fmt::format("--files-from, name {}", number), std::move(plain.error().message)));
    names.push_back(std::move(*plain));
  }
  return names;
}

} // namespace checkvalve
