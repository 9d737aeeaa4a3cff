// HashSpool: pairs of 64-bit hashes, sorted, however many: sixteen bytes each, where a Spool takes twice that and
// compares texts. Beyond its memory, sorted runs go to a temporary file. Not thread-safe; blocks for file I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "core/result.h"
#include "core/unique_fd.h"

namespace checkvalve {

struct HashPair {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  auto operator<=>(const HashPair&) const = default;
};

class HashSpool {
public:
  explicit HashSpool(std::size_t memory_bytes = 256 << 10) : memory_pairs_(memory_bytes / sizeof(HashPair)) {}

  Result<void> add(HashPair pair) {
    if (pairs_.empty()) pairs_.reserve(memory_pairs_); // growing would take more, for a moment
    if (pairs_.size() == memory_pairs_) CV_CHECK(spill());
    pairs_.push_back(pair);
    return {};
  }
  // Ends the adding. Then next() gives the pairs in order, equal ones at least once; false at the end.
  Result<void> finish();
  Result<bool> next(HashPair& pair);

private:
  struct Run {
    std::uint64_t position = 0; // in the file, in pairs: what was not loaded yet
    std::uint64_t end = 0;
    std::size_t begin = 0; // of its part of pairs_
    std::size_t at = 0;    // the next of what was loaded there
    std::size_t loaded = 0;
  };
  void sort();
  Result<void> spill();
  Result<void> load(Run& run);

  const std::size_t memory_pairs_;
  std::vector<HashPair> pairs_; // while runs are read: room for a part of each
  std::size_t position_ = 0;    // next of pairs_ to read, without runs
  UniqueFd file_;
  std::vector<Run> runs_;
  std::vector<std::size_t> heap_; // of runs_ that are not at their end, by their next pair
};

} // namespace checkvalve
