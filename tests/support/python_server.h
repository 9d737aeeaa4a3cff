// A server of tests/servers that is a Python program: started for C++ tests, and ended with them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace checkvalve::testing_support {

class PythonServer {
public:
  // Runs `python -m servers.NAME --directory DIRECTORY` with `environment` besides the process's own, and waits for its
  // line "port N". Throws std::runtime_error with what it printed if that does not come.
  PythonServer(const std::string& name, const std::map<std::string, std::string>& environment);
  ~PythonServer(); // ends it, and removes its directory
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& directory() const { return directory_; }

private:
  std::string directory_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  int input_ = -1; // its standard input: it ends when this is closed
};

} // namespace checkvalve::testing_support
