// Files of a server that speaks SFTP: "sftp://user@host:port/path", "sftp://host/~/path".
#pragma once

#include "backends/backend.h"

namespace checkvalve {

extern const BackendDescriptor sftp_backend;

} // namespace checkvalve
