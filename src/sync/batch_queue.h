// BatchQueue: which batch of a plan a worker takes next.
//
// Workers share a plan: each takes the batches that are free first, larger ones before smaller ones and otherwise in an
// order of its own, so that they seldom ask for the same one. It waits for batches that others hold only when nothing
// else is left: a holder may die.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "state/store.h"
#include "sync/boot_clock.h"
#include "sync/engine.h"

namespace checkvalve {

struct OpenBatch {
  BatchRecord record;
  std::uint64_t reported = 0; // files of which this run has reported what became of them
  std::string holder = {};    // while another worker holds it
  std::int64_t held_until_ms = 0;
  std::string reported_holder = {}; // in the last event that said that this run waits
};

struct LeasedBatch {
  OpenBatch batch;
  Lease lease;
  BootClock::time_point asked; // from when on the lease counts
};

// Engine thread only, one call at a time.
class BatchQueue {
public:
  // With wait = false a batch that another worker holds is an error of kind lease, once.
  BatchQueue(Engine& engine, std::string plan, std::vector<BatchRecord> batches, std::chrono::milliseconds ttl,
             bool wait);

  // Nothing: none is left, or the run was cancelled.
  Task<Result<std::optional<LeasedBatch>>> next();
  // A batch whose lease was lost or ran out: it is taken again, or awaited.
  void put_back(OpenBatch batch) { free_.push_front(std::move(batch)); }
  bool empty() const { return free_.empty() && held_.empty(); }
  // Files of batches that others did, without those that this run has reported.
  std::uint64_t files_of_others() const { return files_of_others_; }

private:
  void report_waiting();

  Engine& engine_;
  const std::string plan_;
  const std::string holder_; // this worker; outlives the calls that are given it
  const std::chrono::milliseconds ttl_;
  const bool wait_;
  std::deque<OpenBatch> free_; // as far as is known
  std::vector<OpenBatch> held_;
  std::uint64_t files_of_others_ = 0;
};

} // namespace checkvalve
