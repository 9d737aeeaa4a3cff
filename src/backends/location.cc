#include "backends/location.h"

#include <fmt/format.h>

#include <algorithm>

#include "backends/registry.h"

namespace checkvalve {

Location locate_by_url(const Endpoint& endpoint) {
  std::string host = endpoint.host;
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (host.find(':') != host.npos) host = "[" + host + "]";
  if (endpoint.port != 0) host += fmt::format(":{}", endpoint.port);
  std::string root = endpoint.root;
  while (root.ends_with('/')) root.pop_back();
  if (!root.empty() && root.front() != '/' && root.front() != '~') root.insert(0, "/");
  Location out;
  out.service = endpoint.scheme + "://" + host;
  const std::string login = endpoint.user.empty() ? "" : endpoint.user + "@";
  out.identity = endpoint.scheme + "://" + login + host + root;
  out.root = std::move(root);
  return out;
}

Result<Location> locate(const Endpoint& endpoint) {
  const BackendDescriptor* backend = find_backend(endpoint.scheme);
  return backend && backend->locate ? backend->locate(endpoint) : locate_by_url(endpoint);
}

Result<std::string> identity(const Endpoint& endpoint) {
  CV_TRY(Location location, locate(endpoint));
  return std::move(location.identity);
}

std::optional<std::string> path_within(const Endpoint& outer, const Endpoint& inner) {
  const auto above = locate(outer);
  const auto below = locate(inner);
  if (!above || !below || above->service != below->service || !below->root.starts_with(above->root))
    return std::nullopt;
  const std::string_view rest = std::string_view(below->root).substr(above->root.size());
  if (rest.empty()) return "";
  if (rest.front() != '/') return std::nullopt;
  return std::string(rest.substr(1));
}

} // namespace checkvalve
