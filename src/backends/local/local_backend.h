// Files of this machine: "file:///path" and plain paths.
#pragma once

#include "backends/backend.h"

namespace checkvalve {

extern const BackendDescriptor local_backend;

} // namespace checkvalve
