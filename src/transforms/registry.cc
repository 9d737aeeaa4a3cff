#include "transforms/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "transforms/compress/compress.h"
#include "transforms/other/other.h"
#include "transforms/records/records.h"
#include "transforms/text/text.h"

namespace checkvalve {
namespace {

constexpr std::array all_transforms = {
    &gzip_transform,  &gunzip_transform, &zstd_transform,   &unzstd_transform,  &bunzip2_transform,
    &unxz_transform,  &lines_transform,  &redact_transform, &charset_transform, &checksum_transform,
    &split_transform, &exec_transform,   &csv_transform,    &jsonl_transform,   &sql_transform,
};

} // namespace

std::span<const TransformDescriptor* const> transforms() { return all_transforms; }

const TransformDescriptor* find_transform(std::string_view name) {
  for (const TransformDescriptor* descriptor : all_transforms)
    if (descriptor->name == name) return descriptor;
  return nullptr;
}

Result<MadeTransform> make_transform(const TransformCall& call) {
  const auto wrong = [&](std::string message) {
    return Failure(make_error(ErrorKind::config, "use transform", call.name, std::move(message)));
  };
  const TransformDescriptor* descriptor = find_transform(call.name);
  if (!descriptor) {
    std::vector<std::string_view> names;
    for (const TransformDescriptor* known : all_transforms) names.push_back(known->name);
    return wrong(fmt::format("no such transform; available: {}", fmt::join(names, ", ")));
  }
  for (const auto& [name, value] : call.options) {
    if (name == rename_option.name) continue;
    const OptionSpec* spec = find_option(descriptor->options, name);
    if (!spec) {
      std::vector<std::string_view> names = {rename_option.name};
      for (const OptionSpec& known : descriptor->options) names.push_back(known.name);
      return wrong(fmt::format("unknown option '{}'; available: {}", name, fmt::join(names, ", ")));
    }
    if (const std::string wanted = expected_type(*spec, value); !wanted.empty())
      return wrong(fmt::format("invalid value '{1}' for option '{0}': expected {2}", name, value, wanted));
  }
  auto made = descriptor->make(OptionValues(descriptor->options, call.options));
  if (!made) return wrong(std::move(made.error().message));
  return MadeTransform{descriptor, std::move(*made)};
}

} // namespace checkvalve
