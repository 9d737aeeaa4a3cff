// What `checkvalve doctor` asks of an sftp endpoint.
#pragma once

#include <string>
#include <vector>

#include "backends/registry.h"

namespace checkvalve {

struct DoctorCheck {
  std::string name;  // "server", "extensions", "round trip", …
  std::string value; // for people
  bool ok = true;    // false: something does not work as checkvalve would like
};

// Connects as the endpoint says and tries out what it can do. Below the root it makes a few temporaries of its own
// (temporary.h) and removes them; a root that does not exist or can't be written is a check that is not ok. An error
// means that there was no connection, or, with kind interrupted, that the token was cancelled: the temporaries are
// removed then, unless the server does not answer for two seconds. The endpoint's options must have been checked
// (registry.h).
Task<Result<std::vector<DoctorCheck>>> doctor_sftp(BackendContext& context, Endpoint endpoint, CancellationToken token);

} // namespace checkvalve
