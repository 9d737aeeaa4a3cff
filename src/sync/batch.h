// Batch: cuts a plan's files into batches of about the same cost.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "sync/job.h"

namespace checkvalve {

// Gives each file to the batch that costs least so far. Files must come largest first: then the costs differ by no
// more than one of the smallest files in most plans ("longest processing time first"). Memory is that of the batches.
class Balancer {
public:
  // Totals of all files to come.
  Balancer(const Batching& batching, std::uint64_t files, std::uint64_t bytes);
  // The batch, from 1, of the next file.
  std::uint32_t place(std::uint64_t size_bytes);
  std::uint32_t batches() const { return static_cast<std::uint32_t>(files_.size()); }

private:
  struct Open {
    std::uint64_t cost;
    std::uint32_t number;
    bool operator>(const Open& other) const { return cost != other.cost ? cost > other.cost : number > other.number; }
  };
  std::uint32_t open_batch();

  Batching batching_;
  bool bounded_; // the limits on files and bytes can be kept within max_batches
  std::priority_queue<Open, std::vector<Open>, std::greater<>> open_; // batches that may take more files
  std::vector<std::uint64_t> files_;
  std::vector<std::uint64_t> bytes_;
};

} // namespace checkvalve
