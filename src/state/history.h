// HistoryStore: what was published from which source to which target, whatever became of the plans that did it.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Errors have kind state.
#pragma once

#include <string>
#include <vector>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

class HistoryStore {
public:
  explicit HistoryStore(StateThread& thread) : thread_(thread) {}

  // Records of a pair in the order of their paths' bytes, beginning with the first that is not less than `from`.
  Task<Result<std::vector<HistoryRecord>>> page(const std::string& pair, const std::string& from, std::size_t limit);
  // The pairs whose names end so.
  Task<Result<std::vector<std::string>>> pairs_ending(const std::string& end);

private:
  StateThread& thread_;
};

// The first path behind this one in the order of bytes.
inline std::string path_after(std::string path) { return std::move(path += '\0'); }

} // namespace checkvalve
