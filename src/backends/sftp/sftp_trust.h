// `checkvalve trust` for a server's host key.
#pragma once

#include "backends/backend.h"

namespace checkvalve {

// BackendDescriptor::trust: adds the key to known_hosts.
Result<std::string> trust_sftp(const Endpoint& endpoint, const TrustRequest& request);

} // namespace checkvalve
