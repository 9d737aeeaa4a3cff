// What ssh_config(5) says of a host beyond what libssh reads of it: the ssh program is asked (`ssh -G`).
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "protocol/ssh_options.h"

namespace checkvalve {

struct SshConfig {
  std::string host_key_alias;                  // HostKeyAlias; empty: none
  std::vector<std::string> known_hosts;        // UserKnownHostsFile, all of them; empty: not known
  std::vector<std::string> system_known_hosts; // GlobalKnownHostsFile, likewise
  bool has_certificate = false;                // CertificateFile
  bool identities_only = false;                // IdentitiesOnly yes
};

// Starts a program and waits for it, at most the connect timeout: for a worker. Empty without an ssh program, or where
// that can't read ssh_config either: libssh then goes by what it knows, and a host key that is only known by an alias
// is refused as unknown.
SshConfig read_ssh_config(const SshOptions& options);

// Reads `ssh -G`'s output: "keyword value" lines.
SshConfig parse_ssh_config(std::string_view output);

// How to connect.
struct SshRoute {
  SshOptions options;      // with what was found filled in
  bool by_program = false; // for the ssh program: through a ProxyJump or ProxyCommand, with a CertificateFile, with an
                           // agent of which IdentitiesOnly allows only some keys, or to a host with '_' in its name
};
// Blocks, as read_ssh_config. Error config: ssh_config can't be read.
Result<SshRoute> find_ssh_route(SshOptions options);

} // namespace checkvalve
