// Throttle: a bound on bytes per second.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/cancellation.h"
#include "core/loop.h"

namespace checkvalve {

// A token bucket, as a schedule: each taker gets the next free slot, so turns are kept. Idle time is saved up to
// `burst`. Engine thread only; one may serve several sources and targets, which then share the rate.
class TokenBucket {
public:
  using Clock = std::chrono::steady_clock;
  // Once `token` is cancelled nobody waits any more.
  explicit TokenBucket(std::uint64_t bytes_per_second, std::chrono::milliseconds burst = std::chrono::milliseconds(100),
                       CancellationToken token = {})
      : bytes_per_second_(bytes_per_second), burst_(burst), token_(token) {}
  // How long whoever moves these bytes now has to wait.
  Clock::duration reserve(std::uint64_t bytes, Clock::time_point now);
  Task<void> take(Loop& loop, std::uint64_t bytes);

private:
  std::uint64_t bytes_per_second_; // not 0
  Clock::duration burst_;
  CancellationToken token_;
  Clock::time_point next_free_{};
};

// Counts what Reader::read gave, and what Upload::write takes.
std::unique_ptr<Source> with_throttle(std::shared_ptr<Source> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket);
std::unique_ptr<Target> with_throttle(std::shared_ptr<Target> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket);

} // namespace checkvalve
