// What `checkvalve doctor` tries out on an sftp endpoint.
#pragma once

#include "backends/backend.h"

namespace checkvalve {

// BackendDescriptor::examine. Once the token is cancelled the temporaries are removed, unless the server does not
// answer for two seconds. The endpoint's options must have been checked.
Task<Result<std::vector<DoctorCheck>>> doctor_sftp(BackendContext& context, Endpoint endpoint, CancellationToken token);

} // namespace checkvalve
