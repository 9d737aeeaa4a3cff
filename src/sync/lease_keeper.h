// LeaseKeeper: holds a batch's lease while the batch runs, renewing it in time, and records outcomes in groups.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "core/async.h"
#include "state/store.h"
#include "sync/engine.h"

namespace checkvalve {

// Engine thread only. Start it, record(), then finish() exactly once.
class LeaseKeeper {
public:
  // remember: asked before each checkpoint, since a target may turn out to keep no times only while it is written to.
  using HistoryScopeFunction = std::function<std::optional<HistoryScope>()>;
  LeaseKeeper(Engine& engine, Lease lease, std::chrono::milliseconds ttl, HistoryScopeFunction history_scope);

  const Lease& lease() const { return lease_; }
  void start();
  // Queues a checkpoint; it is written with others within about 50 ms.
  void record(FileOutcome outcome);
  // False once another worker may have taken the batch over, or the state failed: publish nothing more.
  bool holds() const;
  // Why not.
  const std::optional<Error>& lost() const { return lost_; }
  // Writes what is queued, ends the renewing and gives the lease back.
  Task<Result<void>> finish();

private:
  Task<void> renew();
  Task<void> write_groups();
  Task<Result<void>> write_queued();

  Engine& engine_;
  const Lease lease_;
  const std::chrono::milliseconds ttl_;
  const HistoryScopeFunction history_scope_;
  std::chrono::steady_clock::time_point valid_until_;
  std::vector<FileOutcome> queued_;
  AutoResetEvent work_;
  Timer renewing_;
  Timer grouping_;
  bool finishing_ = false;
  std::optional<Error> lost_;
  TaskGroup tasks_;
};

} // namespace checkvalve
