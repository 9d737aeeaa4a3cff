// ChecksumListStore: what is known of each target's list of checksums, and who writes it.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Times are the store's clock's.
// Errors have kind state, or lease where said.
#pragma once

#include <chrono>
#include <string>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

// Each taking has a temporary name of its own, by which it is known from then on.
class ChecksumListStore {
public:
  explicit ChecksumListStore(StateThread& thread) : thread_(thread) {}

  Task<Result<ListRecord>> find(const ListKey& key);
  // Takes the list for `ttl` from now, unless another has it. `gone`: a holder of whom the caller knows that it has
  // ended; may be empty.
  Task<Result<ListAnswer>> take(const ListKey& key, const std::string& holder, const std::string& temporary,
                                const std::string& gone, std::chrono::milliseconds ttl);
  // Kind lease if another has taken it since.
  Task<Result<void>> renew(const ListKey& key, const std::string& temporary, std::chrono::milliseconds ttl);
  // Gives it back and records what is published now. Kind lease if another has taken it since: as both may have
  // published, nothing is known then, and nobody has the list.
  Task<Result<void>> release(const ListKey& key, const std::string& temporary, const ListRecord& now);

private:
  StateThread& thread_;
};

} // namespace checkvalve
