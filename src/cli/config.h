// The config: endpoints by name, whole syncs as jobs, and defaults. TOML; docs/reference/config.md lists the keys.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/endpoint.h"
#include "cli/settings.h"

namespace checkvalve {

// Where a secret of a configured endpoint is; read only when the endpoint is used.
struct SecretPlace {
  std::string file;     // or empty
  std::string variable; // of the environment, or empty
  std::string place;    // "checkvalve.toml:7: password_file"
};

struct EndpointConfig {
  Endpoint endpoint; // without secrets; its root is what relative paths of NAME:path are below
  std::map<std::string, SecretPlace> secrets;
};

struct Config {
  std::string file; // empty: there is none
  std::vector<Assignment> defaults;
  std::map<std::string, std::vector<Assignment>> jobs;
  std::map<std::string, EndpointConfig> endpoints;
};

// Whether [defaults] has the setting: what applies to all jobs need not fit each of them.
bool has_default(const Config& config, std::string_view key);

// `text` is the content of `file`. Unknown keys, tables and values are errors that name file, line, key and the nearest
// known key. Error kind config.
Result<Config> parse_config(std::string_view text, const std::string& file);

// Reads the named file, else ./checkvalve.toml, else checkvalve/config.toml below $XDG_CONFIG_HOME (~/.config), else
// nothing. A named file that is missing is an error.
Result<Config> load_config(const std::optional<std::string>& named);

} // namespace checkvalve
