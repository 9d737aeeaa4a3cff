#include "transforms/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "transform_families.h" // made by CMake: the families that are built

namespace checkvalve {

std::span<const TransformDescriptor* const> transforms() {
  static const std::vector<const TransformDescriptor*> all = [] {
    std::vector<const TransformDescriptor*> out;
    for (const std::span<const TransformDescriptor* const> family : built_families())
      out.insert(out.end(), family.begin(), family.end());
    return out;
  }();
  return all;
}

const TransformDescriptor* find_transform(std::string_view name) {
  for (const TransformDescriptor* descriptor : transforms())
    if (descriptor->name == name) return descriptor;
  return nullptr;
}

std::string known_transforms() {
  std::vector<std::string_view> names;
  for (const TransformDescriptor* known : transforms()) names.push_back(known->name);
  std::string out = names.empty() ? "there are none" : fmt::format("expected one of {}", fmt::join(names, ", "));
  if (!omitted_families.empty())
    out += fmt::format("; this program was built without the families {}", omitted_families);
  return out;
}

Result<MadeTransform> make_transform(const TransformCall& call) {
  const auto wrong = [&](std::string message) {
    return Failure(make_error(ErrorKind::config, "use transform", call.name, std::move(message)));
  };
  const TransformDescriptor* descriptor = find_transform(call.name);
  if (!descriptor) return wrong("unknown transform: " + known_transforms());
  for (const auto& [name, value] : call.options) {
    if (name == rename_option.name) continue;
    const OptionSpec* spec = find_option(descriptor->options, name);
    if (!spec) {
      std::vector<std::string_view> names = {rename_option.name};
      for (const OptionSpec& known : descriptor->options) names.push_back(known.name);
      return wrong(fmt::format("unknown option '{}': expected one of {}", name, fmt::join(names, ", ")));
    }
    if (const std::string wanted = expected_type(*spec, value); !wanted.empty())
      return wrong(fmt::format("invalid value '{1}' for option '{0}': expected {2}", name, value, wanted));
  }
  auto made = descriptor->make(OptionValues(descriptor->options, call.options));
  if (!made) return wrong(std::move(made.error().message));
  return MadeTransform{descriptor, std::move(*made)};
}

} // namespace checkvalve
