#include "backends/backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace checkvalve {
namespace {

Failure bad_option(const Endpoint& endpoint, std::string message) {
  return Failure(make_error(ErrorKind::config, "read options of", endpoint.display(), std::move(message)));
}

std::string known_options(const BackendDescriptor& descriptor, bool secrets) {
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : descriptor.options)
    if ((spec.type == OptionType::secret) == secrets) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

Result<void> check_options(const BackendDescriptor& descriptor, const Endpoint& endpoint) {
  for (const auto& [name, value] : endpoint.options) {
    const OptionSpec* spec = find_option(descriptor.options, name);
    if (!spec)
      return bad_option(endpoint, fmt::format("unknown option '{}' of {}: expected one of {}", name, descriptor.scheme,
                                              known_options(descriptor, false)));
    if (spec->type == OptionType::secret)
      return bad_option(
          endpoint,
          fmt::format("'{}' is a secret: pass it by environment variable, file or --secrets-fd, not as an option",
                      name));
    if (const std::string expected = expected_type(*spec, value); !expected.empty())
      return bad_option(endpoint, fmt::format("invalid value '{}' of option '{}': expected {}", value, name, expected));
  }
  for (const auto& [name, secret] : endpoint.secrets) {
    const OptionSpec* spec = find_option(descriptor.options, name);
    if (!spec || spec->type != OptionType::secret)
      return bad_option(endpoint, fmt::format("unknown secret '{}' of {}: expected one of {}", name, descriptor.scheme,
                                              known_options(descriptor, true)));
  }
  return {};
}

Secret OptionReader::secret(std::string_view name) const {
  const auto given = endpoint_.secrets.find(std::string(name));
  return given == endpoint_.secrets.end() ? Secret() : given->second;
}

} // namespace checkvalve
