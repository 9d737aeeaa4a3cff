#include "backends/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "backends/local/local_backend.h"
#include "backends/memory/memory_backend.h"
#include "backends/s3/s3_backend.h"
#include "backends/sftp/sftp_backend.h"

namespace checkvalve {
namespace {

constexpr std::array all_backends = {
    &sftp_backend,
    &s3_backend,
    &local_backend,
    &memory_backend,
};

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

Result<void> check_options(const BackendDescriptor& descriptor, const Endpoint& endpoint) {
  for (const auto& [name, value] : endpoint.options) {
    const OptionSpec* spec = find_option(descriptor.options, name);
    if (!spec)
      return bad_option(endpoint, fmt::format("{} has no option '{}'; there are: {}", descriptor.scheme, name,
                                              known_options(descriptor, false)));
    if (spec->type == OptionType::secret)
      return bad_option(endpoint,
                        fmt::format("'{}' is a secret and no option: give it by environment variable, file or "
                                    "--secrets-fd",
                                    name));
    if (const std::string wanted = expected_type(*spec, value); !wanted.empty())
      return bad_option(endpoint, fmt::format("option '{}' is '{}', but must be {}", name, value, wanted));
  }
  for (const auto& [name, secret] : endpoint.secrets) {
    const OptionSpec* spec = find_option(descriptor.options, name);
    if (!spec || spec->type != OptionType::secret)
      return bad_option(endpoint, fmt::format("{} takes no secret '{}'; there are: {}", descriptor.scheme, name,
                                              known_options(descriptor, true)));
  }
  return {};
}

Result<const BackendDescriptor*> backend_of(const Endpoint& endpoint) {
  const BackendDescriptor* descriptor = find_backend(endpoint.scheme);
  if (!descriptor) {
    std::vector<std::string_view> schemes;
    for (const BackendDescriptor* known : all_backends) schemes.push_back(known->scheme);
    return Failure(make_error(
        ErrorKind::config, "use", endpoint.display(),
        fmt::format("there is no backend for '{}://'; there are: {}", endpoint.scheme, fmt::join(schemes, ", "))));
  }
  CV_CHECK(check_options(*descriptor, endpoint));
  return descriptor;
}

} // namespace

std::span<const BackendDescriptor* const> backends() { return all_backends; }

const BackendDescriptor* find_backend(std::string_view scheme) {
  for (const BackendDescriptor* descriptor : all_backends)
    if (descriptor->scheme == scheme) return descriptor;
  return nullptr;
}

Result<std::unique_ptr<Source>> make_source(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(const BackendDescriptor* descriptor, backend_of(endpoint));
  return descriptor->make_source(context, endpoint);
}

Result<std::unique_ptr<Target>> make_target(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(const BackendDescriptor* descriptor, backend_of(endpoint));
  return descriptor->make_target(context, endpoint);
}

Secret OptionReader::secret(std::string_view name) const {
  const auto given = endpoint_.secrets.find(std::string(name));
  return given == endpoint_.secrets.end() ? Secret() : given->second;
}

} // namespace checkvalve
