// History: the state's records of what was published from this source to this target, for targets whose times do not
// show whether a file is up to date, and for files that transforms have changed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "state/store.h"
#include "sync/engine.h"
#include "sync/up_to_date.h"

namespace checkvalve {

// Before the history is used. Gives histories that an older state knows by display names (state/history.h), of this
// job and of others to its target, the identities that their kept plans agree upon.
Task<Result<void>> claim_histories(Engine& engine, const Job& job, const PairKey& pair);
// Whether a run must record what it publishes: it is needed, or there are records, which must not become stale.
Task<Result<bool>> keeps_history(Engine& engine, const Job& job, const Connections& connections);

// The published records of a pair, a page at a time. Each page begins at the path that is asked for, so that the cost
// follows what is asked, not what the history holds. Engine thread only.
class HistoryCursor {
public:
  // Records that are found are kept for `keep` from then on; they are touched only after half of it.
  HistoryCursor(Engine& engine, PairKey pair, std::chrono::milliseconds keep)
      : engine_(engine), pair_(std::move(pair)), keep_(keep) {}

  // The record of exactly this path, or null. Paths must be asked for in ascending order.
  Task<Result<const HistoryRecord*>> find(std::string path);
  // After the last one.
  Task<Result<void>> finish();

private:
  Task<Result<void>> fetch(const std::string& from);

  Engine& engine_;
  const PairKey pair_;
  const std::chrono::milliseconds keep_;
  std::vector<std::string> to_touch_; // of the present page
  std::vector<HistoryRecord> page_;
  std::size_t position_ = 0;
  std::size_t found_ = 0;   // records of the page that were asked for
  std::size_t limit_ = 256; // of the next page
  bool at_end_ = false;
};

} // namespace checkvalve
