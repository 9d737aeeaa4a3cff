// Looking at a server's host key, and trusting it. Calls block: run them on a worker.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "protocol/ssh_options.h"

namespace checkvalve {

enum class HostKeyState : std::uint8_t {
  known,   // known_hosts has this key
  unknown, // known_hosts has no key of this server
  changed, // known_hosts has another key of this server
};

struct HostKey {
  std::string type;             // "ssh-ed25519"
  std::string fingerprint;      // "SHA256:…" as ssh-keygen -l prints it
  std::string known_hosts_line; // "[host]:port ssh-ed25519 AAAA…", without a line end
  std::string known_hosts_file; // the file that trust_host_key appends to
  HostKeyState state = HostKeyState::unknown;
};

// Errors of kind host_key. The hint of the first says how to trust the key.
Error unknown_host_key(const std::string& peer, std::string message);
Error changed_host_key(const std::string& peer, std::string message);

// Connects, exchanges keys and hangs up: no login is tried.
Result<HostKey> fetch_host_key(const SshOptions& options);

// Appends the key's line to its known_hosts file, which is made if need be (mode 0600, its directory 0700). Does
// nothing for a key that is known; refuses a changed one: the old line has to be removed first. Error kind host_key.
Result<void> trust_host_key(const HostKey& key);

} // namespace checkvalve
