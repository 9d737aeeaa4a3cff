// An sftp endpoint's options, read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "protocol/ssh_options.h"

namespace checkvalve {

struct SftpSettings {
  SshOptions ssh;
  bool ssh_program = false;         // connect by `ssh -s HOST sftp` instead of libssh
  std::vector<std::string> command; // connect by this command instead, if not empty
  std::uint32_t connections = 4;
  std::uint32_t chunk_bytes = 0; // 0: the server's limit
  std::uint32_t requests_in_flight = 0;
  std::uint32_t open_handles = 0;      // 0: the server's limit
  bool inplace = false;                // write under the final names
  bool follow_outside = false;         // links of a target may lead out of its root
  std::optional<bool> parallel_writes; // several connections may write one file; nothing: if it is OpenSSH's server
  std::string root;                    // absolute, or "~" or "~/x"
  std::string display;                 // the endpoint as a user would write it
};

// Error kind config for values that make no sense together.
Result<SftpSettings> read_sftp_settings(const Endpoint& endpoint, std::chrono::milliseconds connect_timeout);

} // namespace checkvalve
