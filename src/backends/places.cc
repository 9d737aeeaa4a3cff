#include "backends/places.h"

#include <filesystem>
#include <system_error>
#include <tuple>

namespace checkvalve {
namespace {

// What else decides which server an endpoint means.
std::string elsewhere(const Endpoint& endpoint) {
  std::string out;
  for (const char* option : {"endpoint_url", "command"})
    if (const auto found = endpoint.options.find(option); found != endpoint.options.end()) out += found->second + "\n";
  return out;
}

std::string resolved_root(const Endpoint& endpoint) {
  std::string root = endpoint.root;
  if (endpoint.scheme == "file") {
    std::error_code error;
    const auto real = std::filesystem::weakly_canonical(root, error);
    if (!error) root = real.string();
  }
  while (!root.empty() && root.back() == '/') root.pop_back();
  return root;
}

} // namespace

std::optional<std::string> path_within(const Endpoint& outer, const Endpoint& inner) {
  if (std::tie(outer.scheme, outer.host, outer.port) != std::tie(inner.scheme, inner.host, inner.port) ||
      elsewhere(outer) != elsewhere(inner))
    return std::nullopt;
  const std::string above = resolved_root(outer);
  const std::string below = resolved_root(inner);
  const bool in_home = outer.scheme == "sftp" && (above.starts_with('~') || below.starts_with('~'));
  if (in_home && outer.user != inner.user) return std::nullopt; // each has a home of its own
  if (!below.starts_with(above)) return std::nullopt;
  if (below.size() == above.size()) return "";
  if (below[above.size()] != '/') return std::nullopt;
  return below.substr(above.size() + 1);
}

} // namespace checkvalve
