// Endpoint: which server or store, and how to reach it; parsed from a URL or a config, before any backend sees it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/result.h"
#include "core/secret.h"

namespace checkvalve {

struct Endpoint {
  std::string name;   // of the config's endpoint, or empty
  std::string scheme; // "sftp", "file", "s3", "memory": chooses the backend
  std::string user;   // from the URL; empty: the backend's default
  std::string host;
  std::uint16_t port = 0; // 0: the backend's default
  std::string root;       // the path, percent-decoded; for sftp "~/x" or "~" is relative to the login directory
  std::map<std::string, std::string> options; // names as the backend's descriptor declares them
  std::map<std::string, Secret> secrets;      // "password", "passphrase", "private_key", …

  // As a user would write it, without secrets: for messages, state and reports. The identity that the state keeps.
  std::string display() const;
  // display() of a file below the root.
  std::string display(std::string_view path) const;
};

// Reads "sftp://user@host:port/path" (percent-encoding decoded; the path "/~/x" is relative to the login directory),
// "file:///path", and plain paths, which become absolute. A password in a URL is refused: it would show in process
// lists. Error kind config.
Result<Endpoint> parse_endpoint_url(std::string_view url);

} // namespace checkvalve
