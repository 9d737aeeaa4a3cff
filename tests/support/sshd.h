// A real OpenSSH server for tests: on a free port of the loopback interface, as the current user, with keys made for it
// in a directory of its own. Nothing of the user's is touched.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/endpoint.h"

namespace checkvalve::testing_support {

class Sshd {
public:
  struct Options {
    std::vector<std::string> config;   // further lines of sshd_config
    std::string subsystem = "internal-sftp"; // what serves sftp
  };
  // Throws std::runtime_error if it can't be started.
  static std::unique_ptr<Sshd> start(Options options);
  static std::unique_ptr<Sshd> start() { return start(Options()); }
  ~Sshd(); // stops it
  Sshd(const Sshd&) = delete;
  Sshd& operator=(const Sshd&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& directory() const { return directory_; }
  std::string identity() const { return directory_ + "/user_key"; }
  std::string known_hosts() const { return directory_ + "/known_hosts"; }
  // The line of the public host key: "ssh-ed25519 AAAA…".
  std::string host_key() const;
  // sftp://127.0.0.1:port + root, with identity and known_hosts; ignores the user's ssh_config and agent.
  Endpoint endpoint(const std::string& root) const;

  // Ends the server and all its connections; restart() brings it back on the same port.
  void stop();
  void restart();

private:
  explicit Sshd(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_; // removed at the end
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

// Where OpenSSH's sftp-server is; empty if there is none.
std::string sftp_server_program();

} // namespace checkvalve::testing_support
