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
  std::string scheme; // chooses the backend (registry.h)
  std::string user;   // from the URL; empty: the backend's default
  std::string host;
  std::uint16_t port = 0;                     // 0: the backend's default
  std::string root;                           // the path as the backend reads it (BackendDescriptor::read_url)
  std::map<std::string, std::string> options; // names as the backend's descriptor declares them
  std::map<std::string, Secret> secrets;      // "password", "passphrase", "private_key", …

  // As a user would write it, without secrets: for messages and reports. parse_endpoint_url() reads it back.
  std::string display() const;
  // display() of a file below the root.
  std::string display(std::string_view path) const;
};

// Reads "SCHEME://[user@]host[:port][/path]" (RFC 3986); the backend reads the path, and an unknown scheme's path is
// decoded byte for byte. Text without a scheme is a path of this machine, which becomes absolute. A password in a URL
// is refused, since process lists and logs would show it. Error kind config.
Result<Endpoint> parse_endpoint_url(std::string_view url);

// For the read_url hooks of backends.

// Decodes the %NN of a URL's path. Kind config: a '%' without two hexadecimal digits, or a NUL byte.
Result<std::string> decode_url_path(std::string_view raw_path);
// An absolute path of a file system: without empty and "." components and without a '/' at the end. ".." stays, since
// it leads elsewhere behind a symbolic link.
std::string tidy_path(std::string_view path);

} // namespace checkvalve
