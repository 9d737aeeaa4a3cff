#include "cli/reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/events_json.h"
#include "cli/settings.h"
#include "transforms/reference.h"

namespace checkvalve {
namespace {

// roff: a backslash is an escape, a '-' a hyphen, and a line that begins with '.' or ''' a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

// groff reads bytes: what is not ASCII is named by its code point. Our own texts only: valid UTF-8.
std::string ascii_roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      out += text[i];
      continue;
    }
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    unsigned code = lead & (0x3Fu >> more);
    for (int n = 0; n < more; ++n) code = code << 6 | (static_cast<unsigned char>(text[++i]) & 0x3Fu);
    out += fmt::format("\\[u{:04X}]", code);
  }
  return out;
}

std::string synopsis(const CLI::App& command) {
  std::string out = command.get_name() + " [OPTION]…";
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional())
      out += option->get_required() ? " " + option->get_name(true) : " [" + option->get_name(true) + "]";
  return out;
}

std::vector<std::string> examples_of(const CLI::App& command) {
  std::vector<std::string> lines;
  const std::string footer = command.get_footer();
  std::string_view rest = footer;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    if (rest.starts_with("  ")) lines.emplace_back(rest.substr(2, end - 2));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::string man_command(const CLI::App& command) {
  std::string out = fmt::format(".SS checkvalve {}\n{}.\n", roff(synopsis(command)), roff(command.get_description()));
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional())
      out += fmt::format(".TP\n.I {}\n{}\n", roff(option->get_name(true)), roff(option->get_description()));
  for (const OptionGroup& group : option_groups(command))
    for (const CLI::Option* option : group.options) {
      const std::string type = type_of(*option);
      out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(option_names(*option)),
                         type.empty() ? "" : " \\fI" + roff(type) + "\\fR", roff(option->get_description()));
    }
  return out;
}

} // namespace

std::string option_names(const CLI::Option& option) {
  std::string out;
  for (const std::string& name : option.get_snames()) out += "-" + name + ", ";
  const auto& negative = option.get_fnames();
  for (const std::string& name : option.get_lnames())
    if (std::find(negative.begin(), negative.end(), name) == negative.end()) out += "--" + name + ", ";
  for (const std::string& name : negative) out += "--" + name + ", ";
  return out.substr(0, out.size() - 2);
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  const auto found = app.get_subcommands([](const CLI::App*) { return true; });
  return {found.begin(), found.end()};
}

std::string type_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string type = option.get_type_name();
  return type.substr(0, type.find(":{")); // CLI11 adds the choices of a check
}

std::vector<std::string> choices_of(std::string_view type) {
  const bool lower =
      std::all_of(type.begin(), type.end(), [](unsigned char c) { return std::islower(c) || c == '|' || c == '-'; });
  if (!lower || type.find('|') == type.npos) return {};
  std::vector<std::string> words;
  while (!type.empty()) {
    const auto bar = std::min(type.find('|'), type.size());
    words.emplace_back(type.substr(0, bar));
    type.remove_prefix(std::min(bar + 1, type.size()));
  }
  return words;
}

std::vector<std::string> choices_of(const CLI::Option& option) { return choices_of(type_of(option)); }

std::vector<OptionGroup> option_groups(const CLI::App& command) {
  std::vector<OptionGroup> groups;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const OptionGroup& each) { return each.name == option->get_group(); });
    if (group == groups.end()) group = groups.insert(groups.end(), {option->get_group(), {}});
    group->options.push_back(option);
  }
  return groups;
}

std::string_view option_type_word(OptionType type) {
  switch (type) {
  case OptionType::text: return "TEXT";
  case OptionType::integer: return "N";
  case OptionType::size: return "SIZE";
  case OptionType::duration: return "DURATION";
  case OptionType::boolean: return "yes|no";
  case OptionType::path: return "FILE";
  case OptionType::list: return "LIST";
  case OptionType::secret: return "SECRET";
  }
  return "";
}

std::string man_page(const CLI::App& app) {
  std::string out = fmt::format(".TH CHECKVALVE 1 \"\" \"checkvalve {}\" \"User Commands\"\n", CHECKVALVE_VERSION);
  out += fmt::format(".SH NAME\ncheckvalve \\- {}\n", "one-way file sync");
  out += ".SH SYNOPSIS\n.B checkvalve\n.I COMMAND\n[\\fIOPTION\\fR]… [\\fIARGUMENT\\fR]…\n";
  out +=
      fmt::format(".SH DESCRIPTION\n{}.\n.PP\nA SOURCE or TARGET is a URL (sftp://user@host:port/absolute/path, "
                  "sftp://host/~/relative/to/home, file:///path), a plain path, or NAME:path with an endpoint of the "
                  "config. {{date}} and {{date:%Y/%m/%d}} in it are replaced by the date of \\-\\-date; {{{{ and }}}} "
                  "are literal braces.\n",
                  roff(app.get_description()));
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) out += man_command(*command);
  out += ".SH EXIT STATUS\n"
         ".TP\n0\nall planned files are at the target\n"
         ".TP\n1\nsome files failed, each listed with its reason; all others are at the target\n"
         ".TP\n2\ninvalid usage or configuration\n"
         ".TP\n3\nan endpoint could not be reached, or refused the login or its host key; nothing was copied\n"
         ".TP\n5\nthe state failed\n"
         ".TP\n74\nsuccess, but the output could not be written to standard output\n"
         ".TP\n130, 143\ninterrupted by SIGINT, SIGTERM; what was in flight is cleaned up or recorded\n";
  out += ".SH ENVIRONMENT\n"
         ".TP\nCHECKVALVE_SOURCE_PASSWORD, CHECKVALVE_TARGET_PASSPHRASE, …\nsecrets of source and target; secrets "
         "are never read "
         "from the command line or a URL\n"
         ".TP\nXDG_CONFIG_HOME, XDG_STATE_HOME\ndefault locations of the config and the state\n"
         ".TP\nNO_COLOR\nif set and not empty, the progress bar has no colors\n"
         ".TP\nTZ\ntime zone of today and yesterday\n";
  out += ".SH FILES\n.TP\n./checkvalve.toml, ~/.config/checkvalve/config.toml\nthe config\n"
         ".TP\n~/.local/state/checkvalve/state.db\nthe state\n";
  out += ".SH EXAMPLES\n.nf\n";
  for (const CLI::App* command : commands_of(app))
    for (const std::string& example : examples_of(*command)) out += roff(example) + "\n";
  return ascii_roff(out + ".fi\n");
}

std::string commands_page(const CLI::App& app) {
  std::string out = "# Commands\n\n<!-- Generated by `checkvalve man --page commands` (./dev docs). -->\n\n";
  out += "Exit codes, `--json` and `--events`: [machine.md](machine.md). The config: [config.md](config.md).\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format("\n## {}\n\n    checkvalve {}\n\n{}.\n", command->get_name(), synopsis(*command),
                       command->get_description());
    for (const CLI::Option* option : command->get_options())
      if (option->get_positional())
        out += fmt::format("\n`{}`: {}.\n", option->get_name(true), option->get_description());
    for (const OptionGroup& group : option_groups(*command)) {
      out += fmt::format("\n| {} | |\n| --- | --- |\n", group.name == "Options" ? "Option" : group.name);
      for (const CLI::Option* option : group.options) {
        const std::string type = type_of(*option);
        out += fmt::format("| `{}{}` | {} |\n", option_names(*option), type.empty() ? "" : " " + table_cell(type),
                           table_cell(option->get_description()));
      }
    }
    out += "\n";
    for (const std::string& example : examples_of(*command)) out += "    " + example + "\n";
  }
  return out;
}

std::string options_page() {
  constexpr std::pair<unsigned, std::string_view> commands[] = {
      {takes::sync, "sync"},     {takes::sync, "plan"},   {takes::run, "run"},
      {takes::verify, "verify"}, {takes::endpoint, "ls"}, {takes::endpoint, "doctor"},
      {takes::trust, "trust"},   {takes::sweep, "sweep"}, {takes::status, "status"},
  };
  Json list = Json::array();
  for (const Setting& setting : all_settings()) {
    const bool is_switch = setting.kind == OptionKind::flag || setting.kind == OptionKind::on_off;
    Json each = {{"name", setting.name},
                 {"flag", setting.on_command_line ? Json(setting.flag()) : Json(nullptr)},
                 {"negation", setting.kind == OptionKind::on_off ? Json("--no-" + setting.flag().substr(2)) : Json()},
                 {"type", is_switch ? "switch" : setting.value_name},
                 {"choices", choices_of(setting.value_name)},
                 {"repeatable", setting.kind == OptionKind::list},
                 {"default", setting.default_value},
                 {"group", setting.group},
                 {"help", setting.help},
                 {"in_config", setting.in_config},
                 {"commands", Json::array()}};
    for (const auto& [bit, command] : commands)
      if (setting.commands & bit) each["commands"].push_back(command);
    list.push_back(std::move(each));
  }
  return Json{{"version", 1}, {"options", std::move(list)}}.dump(2) + "\n";
}

std::string config_page() {
  std::string out = R"(# The config

<!-- Generated by `checkvalve man --page config` (./dev docs). -->

A TOML file, read from `--config FILE`, else `./checkvalve.toml`, else `$XDG_CONFIG_HOME/checkvalve/config.toml`
(`~/.config/checkvalve/config.toml`). Unknown keys are errors. Names of files and directories are relative to the
directory of the config; `~/` is the home directory.

    [endpoint.partner]
    url = "sftp://me@source.example/outgoing"
    identity = "~/.ssh/partner"
    passphrase_env = "PARTNER_PASSPHRASE"

    [endpoint.archive]
    scheme = "sftp"
    host = "target.example"
    user = "me"
    root = "/archive"
    password_file = "archive.password"

    [defaults]
    retries = 6

    [job.daily]
    source = "partner:{date}"
    target = "archive:{date:%Y/%m/%d}"
    include = ["*.txt"]
    min_age = "5m"

`checkvalve sync --job daily --date 2024-03-01` runs the job. The command line takes precedence over the job, and the job over
`[defaults]`. A list replaces the list of a lower level; `include` and `exclude` are one list. In the config, `exclude` patterns
come before `include` patterns; the first matching pattern decides.

`[airflow]` and `[airflow.NAME]` schedule the job on Airflow (`docs/airflow.md`); the program ignores them.

`{date}` is 2024-03-01; `{date:FORMAT}` takes strftime conversions (`%Y %m %d %y %j %b %B %a %A %u %w %V %G %U %W %e %F %%`); `{{`
and `}}` are literal braces. `today` and `yesterday` are in the time zone of the process (`TZ`).

## `[defaults]` and `[job.NAME]`

| key | value | default | |
| --- | --- | --- | --- |
)";
  for (const Setting& setting : all_settings()) {
    if (!setting.in_config) continue;
    const bool switches = setting.kind == OptionKind::flag || setting.kind == OptionKind::on_off;
    out += fmt::format(
        "| `{}` | {}{} | {} | {} |\n", setting.name, switches ? "true\\|false" : table_cell(setting.value_name),
        setting.kind == OptionKind::list ? ", or an array" : "",
        setting.default_value.empty() ? "" : fmt::format("`{}`", setting.default_value), table_cell(setting.help));
  }
  out += R"(
## `[endpoint.NAME]`

`url`, or `scheme`, `host`, `port`, `user` and `root`. In `NAME:path`, a relative path is below the endpoint's root, an absolute
one replaces it. Secrets are not allowed in the config: for each secret KEY, `KEY_file` names a file that contains it and
`KEY_env` an environment variable.
)";
  for (const BackendDescriptor* backend : backends()) {
    out += fmt::format("\n### {}://\n\n{}.\n\n| key | value | default | |\n| --- | --- | --- | --- |\n",
                       backend->scheme, backend->summary);
    for (const OptionSpec& spec : backend->options) {
      const bool secret = spec.type == OptionType::secret;
      out +=
          fmt::format("| {} | {} | {} | {} |\n",
                      secret ? fmt::format("`{0}_file`, `{0}_env`", spec.name) : fmt::format("`{}`", spec.name),
                      secret                             ? "secret"
                      : spec.type == OptionType::boolean ? "true\\|false"
                                                         : option_type_word(spec.type),
                      spec.default_value.empty() ? "" : fmt::format("`{}`", spec.default_value), table_cell(spec.help));
    }
  }
  return out;
}

} // namespace checkvalve
