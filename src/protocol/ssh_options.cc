#include "protocol/ssh_options.h"

namespace checkvalve {

std::string SshOptions::display() const {
  std::string out = user.empty() ? "" : user + "@";
  out += host.find(':') == host.npos ? host : "[" + host + "]";
  if (port != 0) out += ":" + std::to_string(port);
  return out;
}

} // namespace checkvalve
