#include "cli/endpoints.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "backends/registry.h"
#include "core/path.h"

namespace checkvalve {
namespace {

// The NAME of "NAME:path"; empty for URLs and plain paths.
std::string_view reference_name(std::string_view text) {
  const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  if (end == text.npos || end == 0 || text[end] != ':' || text.substr(end).starts_with("://")) return {};
  return text.substr(0, end);
}

// "user@host:/path" as for scp, unless there is a file of this name here.
bool looks_like_scp(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::size_t at = text.find('@');
  const bool shaped = colon != text.npos && at != 0 && at < colon && text.find('/') > colon;
  std::error_code ignored;
  return shaped && !std::filesystem::exists(text, ignored);
}

Result<Endpoint> find_reference(std::string_view name, std::string_view path, const Config& config) {
  const auto found = config.endpoints.find(std::string(name));
  if (found == config.endpoints.end()) {
    std::vector<std::string> known;
    for (const auto& [each, unused] : config.endpoints) known.push_back(each);
    const std::string nearest = nearest_word(name, known);
    const std::string message = config.file.empty() ? fmt::format("unknown endpoint '{}': no config found", name)
                                                    : fmt::format("unknown endpoint '{}' in {}", name, config.file);
    const std::string below(path.substr(std::min(path.find_first_not_of('/'), path.size())));
    const std::string hint =
        find_backend(name) ? fmt::format("a URL has two slashes: {}://{}{}", name,
                                         name == plain_path_backend().scheme ? "/" : "", below)
        : !nearest.empty()
            ? fmt::format("did you mean '{}'?", nearest)
            : fmt::format("write sftp://{0}/{1} for a server, ./{0}:{2} for a local file", name, below, path);
    return Failure(config_error(fmt::format("{}:{}", name, path), message, hint));
  }
  Endpoint endpoint = found->second.endpoint;
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.starts_with('/'))
    endpoint.root = path;
  else if (const BackendDescriptor* backend = find_backend(endpoint.scheme); backend && endpoint.root.empty())
    endpoint.root = join_path(backend->default_root, path);
  else
    endpoint.root = join_path(endpoint.root, path);
  return endpoint;
}

Result<Secret> read_secret(const SecretPlace& place) {
  if (!place.file.empty()) return read_secret_file(place.file, place.place);
  const char* value = std::getenv(place.variable.c_str());
  if (!value)
    return Failure(config_error(place.place, fmt::format("environment variable {} is not set", place.variable)));
  return Secret(value);
}

Result<void> add_configured(Endpoint& endpoint, const Config& config) {
  const auto found = config.endpoints.find(endpoint.name);
  if (endpoint.name.empty() || found == config.endpoints.end()) return {};
  for (const auto& [key, value] : found->second.endpoint.options) endpoint.options[key] = value;
  for (const auto& [key, place] : found->second.secrets) {
    CV_TRY(endpoint.secrets[key], read_secret(place));
  }
  return {};
}

void add_secrets(Endpoint& endpoint, Side side, const Secrets& secrets, const BackendDescriptor* backend) {
  if (const auto found = secrets.endpoints.find(endpoint.name); found != secrets.endpoints.end())
    for (const auto& [key, secret] : found->second) endpoint.secrets[key] = secret;
  for (const auto& [key, secret] : secrets.environment(side))
    for (const OptionSpec& spec : backend ? backend->options : std::span<const OptionSpec>())
      if (spec.type == OptionType::secret && spec.name == key) endpoint.secrets[key] = secret;
  for (const auto& [key, secret] : secrets.document(side)) endpoint.secrets[key] = secret;
}

} // namespace

Result<void> complete_endpoint(Endpoint& endpoint, Side side, const EndpointInputs& inputs) {
  const BackendDescriptor* backend = find_backend(endpoint.scheme);
  CV_CHECK(add_configured(endpoint, inputs.config));
  add_secrets(endpoint, side, inputs.secrets, backend);
  for (const auto& [key, value] : inputs.settings.shared_options)
    for (const OptionSpec& spec : backend ? backend->options : std::span<const OptionSpec>())
      if (spec.name == key) endpoint.options[key] = value;
  const bool is_source = side == Side::source;
  for (const auto& [key, value] : is_source ? inputs.settings.source_options : inputs.settings.target_options) {
    const bool by_default = has_default(inputs.config, (is_source ? "source_" : "target_") + key);
    if (!by_default || !backend || find_option(backend->options, key)) endpoint.options[key] = value;
  }
  return {};
}

Result<Endpoint> resolve_endpoint(const std::string& text, Side side, const EndpointInputs& inputs) {
  Endpoint endpoint;
  if (const std::string_view name = reference_name(text); !name.empty()) {
    CV_TRY(endpoint, find_reference(name, std::string_view(text).substr(name.size() + 1), inputs.config));
  } else if (looks_like_scp(text)) {
    const std::size_t colon = text.find(':');
    const std::string path = text.substr(colon + 1);
    return Failure(
        config_error(text, "not a URL",
                     fmt::format("write sftp://{}/{} for a server, ./{} for a local file", text.substr(0, colon),
                                 path.starts_with('/') ? path.substr(1) : "~/" + path, text)));
  } else {
    CV_TRY(endpoint, parse_endpoint_url(text));
  }
  CV_CHECK(complete_endpoint(endpoint, side, inputs));
  return endpoint;
}

} // namespace checkvalve
