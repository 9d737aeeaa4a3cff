// SQLite as a SqlDatabase: one file in WAL mode, safe for several processes of one machine.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "state/database.h"

namespace checkvalve {

// Opens `path`, creating the file (mode 0600) and its parents (0700) as needed, and migrates it. A damaged file is set
// aside with a warning. `busy_timeout`: how long a call waits for another process's transaction.
Result<std::unique_ptr<SqlDatabase>> open_sqlite(const std::string& path, std::chrono::milliseconds busy_timeout,
                                                 std::vector<std::string>& warnings);

} // namespace checkvalve
