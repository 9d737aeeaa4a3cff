// Reaching an SSH server with libssh, step by step. All calls block: they are for a connection's own thread or a
// worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "protocol/known_hosts.h"
#include "protocol/ssh_options.h"

struct ssh_session_struct;
struct ssh_key_struct;

namespace checkvalve {

struct SshSessionDeleter {
  void operator()(ssh_session_struct* session) const; // closes the socket
};
using SshSession = std::unique_ptr<ssh_session_struct, SshSessionDeleter>;
struct SshKeyDeleter {
  void operator()(ssh_key_struct* key) const;
};
using SshKey = std::unique_ptr<ssh_key_struct, SshKeyDeleter>;

// Lets another thread end a connection that is being made.
struct SshCancel {
  int event_fd = -1;                  // readable from then on: ends the TCP connect
  std::function<void(int)> on_socket; // called with the connected socket; shutting that down ends all that follows
};

// A session with the options and ssh_config applied; opens nothing. `host_key_types`: of the only keys to ask the
// server for, as in ssh_config's HostKeyAlgorithms; empty: any.
Result<SshSession> configure_ssh(const SshOptions& options, const std::string& host_key_types = {});
// Whether ssh_config sends this host through a ProxyJump or ProxyCommand, which is for the ssh program.
Result<bool> ssh_config_has_proxy(const SshOptions& options);
// TCP connect and key exchange. The session owns its socket from then on.
Result<void> connect_ssh(ssh_session_struct* session, const SshOptions& options, const SshCancel& cancel);
// What else to ask a server for whose first key, of this session, is not the pinned one (host_key_fingerprint): it may
// have keys of other types. Best first; nothing without such a pin.
std::vector<std::string> other_host_key_types(ssh_session_struct* session, const SshOptions& options);
// Error host_key unless the server's key is the pinned one or the one of known_hosts. Nothing secret was sent before.
Result<void> check_host_key(ssh_session_struct* session, const SshOptions& options);
// Tries, as far as the server accepts them: private_key, identity (with its certificate), agent and the usual
// identities, password, keyboard-interactive. Error auth with what was tried. In ssh_auth.cc.
Result<void> log_in(ssh_session_struct* session, const SshOptions& options);

// "SHA256:…" as ssh-keygen -l prints it.
std::string fingerprint_of(ssh_key_struct* key);
// "[host]:port", or "host" for port 22, or the HostKeyAlias: the first word of a known_hosts line. After connect_ssh.
std::string known_hosts_name(ssh_session_struct* session);
// The files in which the server is looked up, the user's first: new keys go to the first.
std::vector<std::string> known_hosts_files(ssh_session_struct* session, const SshOptions& options);
// What they say of the server's key. After connect_ssh. ErrorKind::host_key if a file can't be read.
Result<KnownHostVerdict> judge_host_key(ssh_session_struct* session, ssh_key_struct* key, const SshOptions& options);
// How the session is encrypted and what the server calls itself.
std::vector<std::pair<std::string, std::string>> ssh_facts(ssh_session_struct* session);

// libssh's words for what went wrong last, escaped.
std::string last_error(ssh_session_struct* session);
// "~/x" below $HOME.
std::string expand_home(const std::string& path);

} // namespace checkvalve
