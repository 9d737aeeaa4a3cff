// StateStore: what is planned, who works on it, what is done, and what was published before. Losing it costs time,
// never data: the target is compared again.
//
// Each part is awaited on the engine thread; the database has a thread of its own. Several processes may use the same
// state: leases keep them apart.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/secret.h"
#include "state/checksum_lists.h"
#include "state/history.h"
#include "state/leases.h"
#include "state/partial_uploads.h"
#include "state/plans.h"
#include "state/state_thread.h"

namespace checkvalve {

class StateStore {
  StateThread thread_; // before the parts, which use it

public:
  // The database is migrated.
  explicit StateStore(std::unique_ptr<SqlDatabase> database)
      : thread_(std::move(database)), plans(thread_), leases(thread_), history(thread_), lists(thread_),
        partial_uploads(thread_) {}
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  PlanStore plans;
  LeaseStore leases;
  HistoryStore history;
  ChecksumListStore lists;
  PartialUploadStore partial_uploads;
};

struct StateOptions {
  Secret password; // for postgresql://; empty: what libpq finds (~/.pgpass, PGPASSWORD) or none
  std::chrono::milliseconds connect_timeout{10'000}; // of postgresql://, for each of its addresses
  std::chrono::milliseconds busy_timeout{30'000};    // how long a call waits for another process's transaction
};

// Opens "PATH", "sqlite:///absolute/path" or "postgresql://user@host:port/database?options", creating and migrating as
// needed; blocks. `warnings` receives what the user should know (a corrupt file that was set aside). A location that
// can't be read, or holds a password, is an error of kind config; everything else has kind state.
Result<std::unique_ptr<StateStore>> open_state_store(const std::string& location, std::vector<std::string>& warnings,
                                                     const StateOptions& options = {});

} // namespace checkvalve
