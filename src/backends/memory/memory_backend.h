// A store in this process: "memory://NAME/path". For tests and examples.
//
// Its capabilities are options, so that whatever reads them can be tried without a server of that kind.
#pragma once

#include "backends/registry.h"

namespace checkvalve {

extern const BackendDescriptor memory_backend;

} // namespace checkvalve
