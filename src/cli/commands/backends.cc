// checkvalve backends: the URL schemes with their options and secrets.
#include <iostream>
#include <memory>

#include "backends/registry.h"
#include "cli/commands/commands.h"
#include "cli/events_json.h"
#include "cli/exit_code.h"
#include "cli/reference.h"

#include <fmt/format.h>

namespace checkvalve {
namespace {

Json backends_json() {
  Json out = {{"version", 1}, {"command", "backends"}, {"backends", Json::array()}};
  for (const BackendDescriptor* backend : backends()) {
    Json options = Json::array();
    Json secrets = Json::array();
    for (const OptionSpec& spec : backend->options) {
      Json each = {{"name", spec.name}, {"help", spec.help}};
      if (spec.type == OptionType::secret) {
        secrets.push_back(std::move(each));
      } else {
        each["type"] = option_type_word(spec.type);
        each["default"] = spec.default_value;
        options.push_back(std::move(each));
      }
    }
    out["backends"].push_back({{"scheme", backend->scheme},
                               {"summary", backend->summary},
                               {"options", std::move(options)},
                               {"secrets", std::move(secrets)}});
  }
  out["error"] = nullptr;
  return out;
}

std::string backends_text() {
  std::string out;
  for (const BackendDescriptor* backend : backends()) {
    out += fmt::format("{}{}://  {}\n", out.empty() ? "" : "\n", backend->scheme, backend->summary);
    for (const OptionSpec& spec : backend->options) {
      const std::string name = fmt::format("{}={}", spec.name, option_type_word(spec.type));
      out +=
          fmt::format("  {:<34}  {}{}\n", spec.type == OptionType::secret ? std::string(spec.name) + " (secret)" : name,
                      spec.help, spec.default_value.empty() ? "" : fmt::format(" [{}]", spec.default_value));
    }
  }
  return out;
}

} // namespace

void add_backends_command(CommandLine& line) {
  Command& command = line.add("backends", "List URL schemes with the options and secrets of their backends");
  auto json = std::make_shared<bool>(false);
  command.flag({.names = "--json", .help = "print one JSON object"}, *json);
  command.examples({"checkvalve backends", "checkvalve backends --json"});
  command.action([=] {
    std::cout << (*json ? to_line(backends_json()) + "\n" : backends_text());
    return exit_code::success;
  });
}

} // namespace checkvalve
