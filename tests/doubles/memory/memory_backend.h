// A store in this process: "memory://NAME/path". Test programs add it to the backends (main.cc).
//
// Its capabilities are options, so that whatever reads them can be tried without a server of that kind.
#pragma once

#include "backends/backend.h"

namespace checkvalve {

extern const BackendDescriptor memory_backend;

} // namespace checkvalve
