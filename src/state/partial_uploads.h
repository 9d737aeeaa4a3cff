// PartialUploadStore: what targets hold of large files that are not published yet, so that another run may resume it.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Errors have kind state. Losing a
// record costs time only: the file begins again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

class PartialUploadStore {
public:
  explicit PartialUploadStore(StateThread& thread) : thread_(thread) {}

  // Replaces what was recorded of the file. Does nothing if the lease has ended: the file is another worker's then.
  Task<Result<void>> record(const Lease& lease, const PartialUploadRecord& upload);
  Task<Result<std::optional<PartialUploadRecord>>> find(const PairKey& pair, const std::string& path);
  // Of all pairs, the newest first.
  Task<Result<std::vector<PartialUploadRecord>>> newest(std::size_t limit);
  // For a plan that will resume them: renews their age.
  Task<Result<void>> claim(const std::string& plan, const std::vector<std::string>& temporaries);
  // Succeeds if there is no record of this temporary.
  Task<Result<void>> remove(const std::string& temporary);

private:
  StateThread& thread_;
};

} // namespace checkvalve
