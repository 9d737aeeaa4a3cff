// HistoryStore: what was published from which source to which target, whatever became of the plans that did it.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Errors have kind state.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

// A history of a state of schema 3 or older, which is known by the display names of its endpoints only.
struct UnclaimedHistory {
  PairKey displayed;             // Endpoint::display() of both
  std::vector<std::string> jobs; // PlanRecord::job_json, each once, of the plans that are kept between these names
};

class HistoryStore {
public:
  explicit HistoryStore(StateThread& thread) : thread_(thread) {}

  // Records of a pair in the order of their paths' bytes, beginning with the first that is not less than `from`.
  Task<Result<std::vector<HistoryRecord>>> page(const PairKey& pair, std::string from, std::size_t limit);
  // For records that are still needed, so that prune() keeps them.
  Task<Result<void>> touch(const PairKey& pair, const std::vector<std::string>& paths);
  // Removes records that no run has asked for or written for so long, by the store's clock. Each call looks at the next
  // `max_records` of all, so that it takes the same time whatever the history holds. Records in doubt and those that a
  // list of checksums is made from stay.
  Task<Result<void>> prune(std::chrono::milliseconds unused_for, std::size_t max_records = 20'000);
  // The pairs of a target.
  Task<Result<std::vector<PairKey>>> pairs_to(const std::string& target);

  // The unclaimed histories to a target of this display name; none once `own` is a known pair.
  Task<Result<std::vector<UnclaimedHistory>>> unclaimed(const PairKey& own, std::string displayed_target);
  // Makes an unclaimed history that of `pair`, unless that has one, with the lists of checksums that its records name.
  // A record stays proof only where a kept plan shows that this version was published; others are put in doubt.
  Task<Result<void>> claim(const PairKey& displayed, const PairKey& pair);
  // Makes `pair` known, with a copy of what an unclaimed history has in doubt.
  Task<Result<void>> claim_doubts(const PairKey& displayed, const PairKey& pair);

private:
  StateThread& thread_;
};

// The first path behind this one in the order of bytes.
inline std::string path_after(std::string path) { return std::move(path += '\0'); }

} // namespace checkvalve
