#include "backends/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "backends/local/local_backend.h"
#include "backends/memory/memory_backend.h"
#include "backends/s3/s3_backend.h"
#include "backends/sftp/sftp_backend.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr std::array all_backends = {
    &sftp_backend,
    &s3_backend,
    &local_backend,
    &memory_backend,
};

const OptionSpec* find_option(const BackendDescriptor& descriptor, std::string_view name) {
  for (const OptionSpec& spec : descriptor.options)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::optional<std::uint64_t> read_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> read_boolean(std::string_view text) {
  for (std::string_view word : {"yes", "true", "on", "1"})
    if (text == word) return true;
  for (std::string_view word : {"no", "false", "off", "0"})
    if (text == word) return false;
  return std::nullopt;
}

std::optional<std::vector<std::string>> read_list(const std::string& text) {
  if (text.empty()) return std::vector<std::string>{};
  if (text.front() != '[') return std::vector<std::string>{text};
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return std::nullopt;
  std::vector<std::string> words;
  for (const auto& item : json) {
    if (!item.is_string()) return std::nullopt;
    words.push_back(item.get<std::string>());
  }
  return words;
}

Failure bad_option(const Endpoint& endpoint, std::string message) {
  return Failure(make_error(ErrorKind::config, "read options of", endpoint.display(), std::move(message)));
}

// What the value should look like; empty if it can be read.
std::string wanted_instead(const OptionSpec& spec, const std::string& value) {
  switch (spec.type) {
  case OptionType::text:
  case OptionType::path:
  case OptionType::secret: return "";
  case OptionType::integer: return read_integer(value) ? "" : "a whole number";
  case OptionType::size: return parse_size(value) ? "" : "a size like 64MiB";
  case OptionType::duration: return parse_duration(value) ? "" : "a duration like 30s";
  case OptionType::boolean: return read_boolean(value) ? "" : "yes or no";
  case OptionType::list: return read_list(value) ? "" : "one word or a JSON array of strings";
  }
  return "";
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
    const OptionSpec* spec = find_option(descriptor, name);
    if (!spec)
      return bad_option(endpoint, fmt::format("{} has no option '{}'; there are: {}", descriptor.scheme, name,
                                              known_options(descriptor, false)));
    if (spec->type == OptionType::secret)
      return bad_option(endpoint, fmt::format("'{}' is a secret and no option: give it by environment variable, file or "
                                              "--secrets-fd",
                                              name));
    if (const std::string wanted = wanted_instead(*spec, value); !wanted.empty())
      return bad_option(endpoint, fmt::format("option '{}' is '{}', but must be {}", name, value, wanted));
  }
  for (const auto& [name, secret] : endpoint.secrets) {
    const OptionSpec* spec = find_option(descriptor, name);
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
    return Failure(make_error(ErrorKind::config, "use", endpoint.display(),
                              fmt::format("there is no backend for '{}://'; there are: {}", endpoint.scheme,
                                          fmt::join(schemes, ", "))));
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

std::string OptionReader::text(std::string_view name) const {
  if (const auto given = endpoint_.options.find(std::string(name)); given != endpoint_.options.end()) return given->second;
  const OptionSpec* spec = find_option(descriptor_, name);
  return spec ? std::string(spec->default_value) : std::string();
}

std::uint64_t OptionReader::number(std::string_view name) const {
  const OptionSpec* spec = find_option(descriptor_, name);
  if (spec && spec->type == OptionType::integer) return read_integer(text(name)).value_or(0);
  const auto size = parse_size(text(name));
  return size ? *size : 0;
}

std::chrono::milliseconds OptionReader::duration(std::string_view name) const {
  const auto duration = parse_duration(text(name));
  return duration ? *duration : std::chrono::milliseconds(0);
}

bool OptionReader::boolean(std::string_view name) const { return read_boolean(text(name)).value_or(false); }

std::vector<std::string> OptionReader::list(std::string_view name) const { return read_list(text(name)).value_or(std::vector<std::string>()); }

Secret OptionReader::secret(std::string_view name) const {
  const auto given = endpoint_.secrets.find(std::string(name));
  return given == endpoint_.secrets.end() ? Secret() : given->second;
}

} // namespace checkvalve
