// LeaseKeeper: holds a batch's lease while the batch runs, renewing it in time, and records outcomes in groups.
//
// While the state fails with transient errors (a lock, a failover of the database), nothing is lost: outcomes are kept
// and recorded later, up to max_queued of them, and the lease is renewed as soon as the state answers, unless another
// worker has taken it. Between its end and that renewal nothing is published.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/async.h"
#include "state/store.h"
#include "sync/boot_clock.h"
#include "sync/engine.h"

namespace checkvalve {

// Engine thread only. Start it, record(), then finish() exactly once.
class LeaseKeeper {
public:
  // Asked before each checkpoint, since a target may turn out to keep no times only while it is written to.
  using HistoryScopeFunction = std::function<std::optional<HistoryScope>()>;
  // `asked`: before the state was asked for the lease, from when on it counts.
  LeaseKeeper(Engine& engine, Lease lease, BootClock::time_point asked, std::chrono::milliseconds ttl,
              HistoryScopeFunction history_scope);

  const Lease& lease() const { return lease_; }
  void start();
  // Queues a checkpoint; it is written with others within about 50 ms.
  void record(FileOutcome outcome);
  // False while another worker may have taken the batch over: publish nothing.
  bool holds() const;
  // For good: another worker has taken it over, or the state failed.
  bool lost() const { return lost_.has_value(); }
  // Waits while the lease has run out but is being renewed. After that it is held, lost, or the run is cancelled.
  Task<void> renewed() const;
  // The same, and while more outcomes wait to be recorded than are kept: before another file is begun.
  Task<void> ready() const;
  // Records what is queued, ends the renewing and gives the lease back. Kind lease if another worker has the batch.
  Task<Result<void>> finish();

  static constexpr std::size_t max_queued = 10'000; // outcomes; about 5 MiB

private:
  Task<void> renew();
  Task<void> write_groups();
  Task<Result<void>> write_queued();
  void lose(Error error);
  void announce();

  Engine& engine_;
  const Lease lease_;
  const std::chrono::milliseconds ttl_;
  const HistoryScopeFunction history_scope_;
  BootClock::time_point valid_until_;
  std::vector<FileOutcome> queued_;
  AutoResetEvent work_;
  Timer renewing_;
  Timer grouping_;
  bool finishing_ = false;
  std::optional<Error> lost_;
  std::shared_ptr<OneShotEvent> change_ = std::make_shared<OneShotEvent>(); // of what renewed() and ready() wait for
  TaskGroup tasks_;
};

} // namespace checkvalve
