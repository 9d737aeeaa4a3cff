// How to reach and log in to an SSH server.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/secret.h"

namespace checkvalve {

struct SshOptions {
  std::string host;       // as the user wrote it; ssh_config may give it another HostName
  std::uint16_t port = 0; // 0: ssh_config's, else 22
  std::string user;       // empty: ssh_config's, else the name of the current user
  std::string ssh_config; // path; empty: ~/.ssh/config and the system's; "none": neither

  std::string known_hosts;          // path; empty: ssh_config's, else ~/.ssh/known_hosts; the system's file counts too
  std::string host_key;             // "ssh-ed25519 AAAA…": the only key that is accepted
  std::string host_key_fingerprint; // "SHA256:…": the only key that is accepted
  bool check_host_key = true;       // false: any key is accepted
  // ssh_config's, found by find_ssh_route (ssh_config.h):
  std::string host_key_alias;                 // known_hosts has the host under this name, without a port
  std::vector<std::string> known_hosts_files; // empty: as libssh reads ssh_config
  std::vector<std::string> system_known_hosts_files = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};

  std::string identity;    // path of a private key; empty: ssh_config's and the usual ones below ~/.ssh
  std::string certificate; // path; empty: identity + "-cert.pub" where that exists
  bool agent = true;       // ask the agent of SSH_AUTH_SOCK
  Secret password;         // for password and keyboard-interactive
  Secret passphrase;       // of the identity or of private_key
  Secret private_key;      // the text of a private key file

  std::string ciphers; // comma-separated, best first; empty: AES-GCM first where the CPU has AES, else ChaCha20
  std::chrono::milliseconds connect_timeout{20'000}; // for each of: TCP connect, key exchange, an answer to a login

  // "user@host:port" with what is given, as in a URL: an IPv6 address stands in brackets.
  std::string display() const;
};

} // namespace checkvalve
