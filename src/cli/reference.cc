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

std::string synopsis(const Command& command) {
  std::string out = command.name() + " [OPTION]…";
  for (const Parameter& each : command.parameters())
    if (each.is_argument()) out += each.required ? " " + each.names : " [" + each.names + "]";
  return out;
}

std::string man_command(const Command& command) {
  std::string out = fmt::format(".SS checkvalve {}\n{}.\n", roff(synopsis(command)), roff(command.description()));
  for (const Parameter& each : command.parameters())
    if (each.is_argument()) out += fmt::format(".TP\n.I {}\n{}\n", roff(each.names), roff(each.help));
  for (const ParameterGroup& group : option_groups(command))
    for (const Parameter* each : group.parameters)
      out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(each->shown_names()),
                         each->value_name.empty() ? "" : " \\fI" + roff(each->value_name) + "\\fR", roff(each->help));
  return out;
}

} // namespace

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

std::string man_page(const CommandLine& line) {
  std::string out = fmt::format(".TH CHECKVALVE 1 \"\" \"checkvalve {}\" \"User Commands\"\n", CHECKVALVE_VERSION);
  out += fmt::format(".SH NAME\ncheckvalve \\- {}\n", "one-way file sync");
  out += ".SH SYNOPSIS\n.B checkvalve\n.I COMMAND\n[\\fIOPTION\\fR]… [\\fIARGUMENT\\fR]…\n";
  out +=
      fmt::format(".SH DESCRIPTION\n{}.\n.PP\nA SOURCE or TARGET is a URL (sftp://user@host:port/absolute/path, "
                  "sftp://host/~/relative/to/home, file:///path), a plain path, or NAME:path with an endpoint of the "
                  "config. {{date}} and {{date:%Y/%m/%d}} in it are replaced by the date of \\-\\-date; {{{{ and }}}} "
                  "are literal braces.\n",
                  roff(line.description()));
  out += ".SH COMMANDS\n";
  for (const auto& command : line.commands()) out += man_command(*command);
  out += ".SH EXIT STATUS\n"
         ".TP\n0\nall planned files are at the target\n"
         ".TP\n1\nsome files failed, each listed with its reason; all others are at the target\n"
         ".TP\n2\ninvalid usage or configuration\n"
         ".TP\n3\nan endpoint could not be reached, or refused the login or its host key; nothing was copied\n"
         ".TP\n4\nfewer files were selected than \\-\\-min\\-files; nothing was copied\n"
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
  for (const auto& command : line.commands())
    for (const std::string& example : command->examples()) out += roff(example) + "\n";
  return ascii_roff(out + ".fi\n");
}

std::string commands_page(const CommandLine& line) {
  std::string out = "# Commands\n\n<!-- Generated by `checkvalve man --page commands` (./dev docs). -->\n\n";
  out += "Exit codes, `--json` and `--events`: [machine.md](machine.md). The config: [config.md](config.md).\n";
  for (const auto& command : line.commands()) {
    out += fmt::format("\n## {}\n\n    checkvalve {}\n\n{}.\n", command->name(), synopsis(*command),
                       command->description());
    for (const Parameter& each : command->parameters())
      if (each.is_argument()) out += fmt::format("\n`{}`: {}.\n", each.names, each.help);
    for (const ParameterGroup& group : option_groups(*command)) {
      out += fmt::format("\n| {} | |\n| --- | --- |\n", group.name == "Options" ? "Option" : group.name);
      for (const Parameter* each : group.parameters)
        out += fmt::format("| `{}{}` | {} |\n", each->shown_names(),
                           each->value_name.empty() ? "" : " " + table_cell(each->value_name), table_cell(each->help));
    }
    out += "\n";
    for (const std::string& example : command->examples()) out += "    " + example + "\n";
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
