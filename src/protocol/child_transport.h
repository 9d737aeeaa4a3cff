// SFTP packets over the standard input and output of a child process: `ssh -s HOST sftp`, a local sftp-server, or any
// command that speaks SFTP.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "protocol/ssh_options.h"
#include "protocol/transport.h"

namespace checkvalve {

// argv[0] is looked up in PATH. `peer` names the endpoint in errors. The child gets a process group of its own, so that
// Ctrl-C reaches this process first; what it writes to its standard error ends up in error messages (the last 4 KiB).
std::unique_ptr<SftpTransport> make_child_transport(Loop& loop, std::vector<std::string> argv, std::string peer);

// `ssh -s HOST sftp` with the options given. It can't take secrets, nor a host_key_fingerprint: error kind config.
Result<std::unique_ptr<SftpTransport>> make_ssh_command_transport(Loop& loop, const SshOptions& options);

} // namespace checkvalve
