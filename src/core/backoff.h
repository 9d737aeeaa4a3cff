// Backoff: how long to wait before a retry.
#pragma once

#include <chrono>
#include <cstdint>

namespace checkvalve {

// Exponential with full jitter: before retry n (from 1) the delay is random between 0 and min(max, initial ·
// factor^(n-1)), so that many that failed together don't come back together.
// A default one is the policy of whatever waits before a retry.
struct Backoff {
  std::chrono::milliseconds initial{500};
  std::chrono::milliseconds max{30'000};
  double factor = 2;

  std::chrono::milliseconds limit(std::uint32_t retry) const;
  // At least `floor`: what the server asked for, as by Retry-After.
  std::chrono::milliseconds delay(std::uint32_t retry, std::chrono::milliseconds floor = {}) const;
};

} // namespace checkvalve
