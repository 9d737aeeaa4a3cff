// PostgreSQL as a SqlDatabase, by libpq. Nothing outlives a transaction on the server (no session settings, named
// statements or session locks), so that a pooler may give each transaction another connection.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "state/database.h"
#include "state/store.h"

namespace checkvalve {

// Connects and migrates. Errors have kind state, or config for a URL that can't be read or holds a password.
Result<std::unique_ptr<SqlDatabase>> open_postgres(const std::string& url, const StateOptions& options);

} // namespace checkvalve
