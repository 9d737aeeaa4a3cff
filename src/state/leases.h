// LeaseStore: who works on which batch, and checkpoints, which only the holder of the batch's present lease can make.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Times are the store's clock's.
// Errors have kind state, or lease where said.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

class LeaseStore {
public:
  explicit LeaseStore(StateThread& thread) : thread_(thread) {}

  // A lease that ends `ttl` from now unless it is renewed.
  Task<Result<LeaseAnswer>> take(const std::string& plan, std::uint32_t batch, const std::string& holder,
                                 std::chrono::milliseconds ttl);
  Task<Result<void>> renew(const Lease& lease, std::chrono::milliseconds ttl); // kind lease if it was taken over
  // Ends the lease. The batch becomes done, failed, or pending again, by the state of its files. Kind lease as above.
  Task<Result<void>> release(const Lease& lease);
  // Ends the lease that this holder has on the batch, of whom the caller knows that it is gone; does nothing if another
  // has it. The batch is then as after a lease that expired.
  Task<Result<void>> abandon(const std::string& plan, std::uint32_t batch, const std::string& holder);
  // The holders of the plan's live leases. Nothing if this state has no batches of such a plan, so that it can't know.
  Task<Result<std::optional<std::vector<std::string>>>> live_holders(const std::string& plan);

  // Before a batch's first file is published: puts all its open files (not links, not directories) in doubt, with
  // chain_in_doubt under `pair`, in one transaction that survives a power loss: the files may. A checkpoint of a
  // committed file ends its doubt. Kind lease as for checkpoint.
  Task<Result<void>> doubt_batch(const Lease& lease, const PairKey& pair);
  // Records outcomes in one transaction, in the history too if `scope` is given. Kind lease if the lease has ended:
  // then nothing is recorded.
  Task<Result<void>> checkpoint(const Lease& lease, std::span<const FileOutcome> outcomes,
                                const std::optional<HistoryScope>& scope);

  // The store's clock, milliseconds since 1970 UTC.
  Task<Result<std::int64_t>> now_ms();

private:
  StateThread& thread_;
};

} // namespace checkvalve
