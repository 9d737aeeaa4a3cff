// checkvalve transforms: the transforms of --transform with their options.
#include <iostream>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/events_json.h"
#include "cli/exit_code.h"
#include "cli/reference.h"
#include "transforms/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace checkvalve {
namespace {

// All, or the one named `name`; empty if it does not exist.
std::vector<const TransformDescriptor*> chosen_transforms(const std::string& name) {
  if (name.empty()) return {transforms().begin(), transforms().end()};
  const TransformDescriptor* one = find_transform(name);
  return one ? std::vector{one} : std::vector<const TransformDescriptor*>{};
}

std::vector<OptionSpec> options_of(const TransformDescriptor& transform) {
  std::vector<OptionSpec> options(transform.options.begin(), transform.options.end());
  options.push_back(rename_option);
  return options;
}

Json transforms_json(std::span<const TransformDescriptor* const> listed) {
  Json out = {{"version", 1}, {"command", "transforms"}, {"transforms", Json::array()}};
  for (const TransformDescriptor* transform : listed) {
    Json options = Json::array();
    for (const OptionSpec& spec : options_of(*transform))
      options.push_back({{"name", spec.name},
                         {"type", option_type_word(spec.type)},
                         {"default", spec.default_value},
                         {"help", spec.help}});
    out["transforms"].push_back({{"name", transform->name},
                                 {"summary", transform->summary},
                                 {"class", word_for(transform->stage_class)},
                                 {"renames", transform->renames},
                                 {"options", std::move(options)}});
  }
  out["error"] = nullptr;
  return out;
}

std::string transforms_text(std::span<const TransformDescriptor* const> listed) {
  std::string out;
  for (const TransformDescriptor* transform : listed) {
    out += fmt::format("{}{}  {}; {}\n", out.empty() ? "" : "\n", transform->name, transform->summary,
                       describe(transform->stage_class));
    if (!transform->renames.empty()) out += fmt::format("  name: {}\n", transform->renames);
    for (const OptionSpec& spec : options_of(*transform))
      out += fmt::format("  {:<24}  {}{}\n", fmt::format("{}={}", spec.name, option_type_word(spec.type)), spec.help,
                         spec.default_value.empty() ? "" : fmt::format(" [{}]", spec.default_value));
  }
  return out;
}

int unknown_transform(const std::string& name) {
  std::cerr << fmt::format("checkvalve: unknown transform '{}': {}\n", name, known_transforms());
  return exit_code::usage;
}

} // namespace

void add_transforms_command(CommandLine& line) {
  Command& command = line.add("transforms", "List the transforms of --transform with their options");
  auto json = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>();
  command.option({.names = "NAME", .help = "describe only this transform"}, *name);
  command.flag({.names = "--json", .help = "print one JSON object"}, *json);
  command.examples({"checkvalve transforms", "checkvalve transforms gzip --json"});
  command.action([=] {
    const auto listed = chosen_transforms(*name);
    if (listed.empty() && !name->empty()) return unknown_transform(*name);
    std::cout << (*json ? to_line(transforms_json(listed)) + "\n" : transforms_text(listed));
    return exit_code::success;
  });
}

} // namespace checkvalve
