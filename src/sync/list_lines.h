// ListLines: the lines of a target's list of checksums, from what the state remembers of published files.
#pragma once

#include <functional>
#include <string>

#include "sync/engine.h"
#include "sync/spool.h"
#include "transforms/transform.h"

namespace checkvalve {

// One line for each name at the target that a file was published under, by whichever source's sync to this target and
// with whichever transforms before it, as long as the record names this list and its algorithm. In the order of the
// names' bytes; of two sources' files that had one name one after the other, the later counts. Engine thread only.
class ListLines {
public:
  using Between = std::function<Task<Result<void>>()>;

  // `target`: identity, as in PairKey.
  ListLines(Engine& engine, std::string target, ChecksumList list);

  // Reads the state, calling `between` after each page. Once, before next().
  Task<Result<void>> gather(const Between& between);
  // The next line; empty at the end.
  Result<std::string> next();

private:
  Task<Result<void>> gather_pair(PairKey pair, const Between& between);
  Result<void> read_ahead();

  Engine& engine_;
  const std::string target_;
  const ChecksumList list_;
  Spool spool_; // by name at the target and time
  std::string path_ahead_;
  std::string digest_ahead_; // empty: there is no further record
};

} // namespace checkvalve
