#include "sync/batch.h"

#include <algorithm>

namespace checkvalve {
namespace {

std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) { return value / by + (value % by != 0); }

} // namespace

Balancer::Balancer(const Batching& batching, std::uint64_t files, std::uint64_t bytes) : batching_(batching) {
  batching_.max_files = std::max<std::uint64_t>(batching_.max_files, 1);
  batching_.max_bytes = std::max<std::uint64_t>(batching_.max_bytes, 1);
  batching_.max_batches = std::max<std::uint32_t>(batching_.max_batches, 1);
  const std::uint64_t wanted = std::max(divide_up(files, batching_.max_files), divide_up(bytes, batching_.max_bytes));
  bounded_ = wanted <= batching_.max_batches;
  const std::uint64_t count = std::min<std::uint64_t>(wanted, batching_.max_batches);
  for (std::uint64_t i = 0; i < count; ++i) open_.push({0, open_batch()});
}

std::uint32_t Balancer::open_batch() {
  files_.push_back(0);
  bytes_.push_back(0);
  return batches();
}

std::uint32_t Balancer::place(std::uint64_t size_bytes) {
  Open best{0, 0};
  if (!open_.empty()) best = open_.top();
  const bool fits = best.number != 0 && (!bounded_ || bytes_[best.number - 1] == 0 ||
                                         bytes_[best.number - 1] + size_bytes <= batching_.max_bytes);
  if (!fits && (best.number == 0 || batches() < batching_.max_batches)) {
    best = {0, open_batch()};
  } else {
    open_.pop();
  }
  std::uint64_t& files = files_[best.number - 1];
  ++files;
  bytes_[best.number - 1] += size_bytes;
  // Once no further batch may be opened, the least full one grows over the limits.
  const bool full = bounded_ && files >= batching_.max_files && (!open_.empty() || batches() < batching_.max_batches);
  if (!full) open_.push({best.cost + size_bytes + batching_.file_cost_bytes, best.number});
  return best.number;
}

} // namespace checkvalve
