// Secrets: from the environment, from files that the config names, and from a JSON document on a descriptor; never from
// the command line. No message here holds any part of a secret. See docs/reference/machine.md.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/result.h"
#include "core/secret.h"

namespace checkvalve {

enum class Side { source, target };

using SecretMap = std::map<std::string, Secret>;

struct Secrets {
  SecretMap source_environment; // CHECKVALVE_SOURCE_…, names in lower case
  SecretMap target_environment;
  SecretMap source; // of the document: each must be one that the side's backend declares
  SecretMap target;
  SecretMap state;                            // of both; the document wins
  std::map<std::string, SecretMap> endpoints; // of the document, by the config's names

  const SecretMap& environment(Side side) const {
    return side == Side::source ? source_environment : target_environment;
  }
  const SecretMap& document(Side side) const { return side == Side::source ? source : target; }
};

// Takes the CHECKVALVE_SOURCE_, _TARGET_ and _STATE_ variables out of the environment (so that children don't inherit
// them), then reads the document of `fd`, if given, to its end. Error kind config. Before threads are started only.
Result<Secrets> read_secrets(std::optional<int> fd);

Result<void> parse_secrets_document(const std::string& text, Secrets& secrets);

// The content of a file without its last newline; at most 1 MiB. `place` is where the config names it.
Result<Secret> read_secret_file(const std::string& path, const std::string& place);

} // namespace checkvalve
