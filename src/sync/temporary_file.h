// Files of this machine for what planning does not keep in memory: in $TMPDIR or /tmp, without a name.
#pragma once

#include "core/result.h"

namespace checkvalve {

// A descriptor that the caller closes; -1: see errno.
int make_temporary_file();
// What errno says about such a file, of kind state: not an endpoint's. `verb`: "create", "read", "write".
Failure temporary_file_failure(const char* verb);

} // namespace checkvalve
