// SFTP packets over an SSH connection made by libssh in this process. One thread a connection does all of its socket
// and crypto work; queues are handed over whole in both directions, so that many packets cost one wake-up.
#pragma once

#include <memory>

#include "core/loop.h"
#include "protocol/ssh_options.h"
#include "protocol/transport.h"

namespace checkvalve {

std::unique_ptr<SftpTransport> make_libssh_transport(Loop& loop, SshOptions options);

} // namespace checkvalve
