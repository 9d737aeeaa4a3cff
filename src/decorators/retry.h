// Retry: calls that can be repeated safely are, while they fail with transient errors. What reads or writes a file's
// body is not: a half-consumed body can't be replayed from here, so the engine repeats whole files.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/event.h"
#include "core/loop.h"

namespace checkvalve {

struct RetryPolicy {
  std::uint32_t retries = 4; // after the first try
  // Before retry n the wait is random between 0 and first_delay · 2^(n-1), at most longest_delay: full jitter keeps
  // many workers from coming back in step.
  std::chrono::milliseconds initial_delay{500};
  std::chrono::milliseconds max_delay{30'000};
  std::function<bool()> stopping; // asked while waiting; true: no more tries. May be empty
};

// Each retry is told by a RetryEvent. When the tries are used up, the last error comes with ErrorStatus::exhausted.
std::unique_ptr<Source> with_retry(std::shared_ptr<Source> inner, Loop& loop, EventSink& events, RetryPolicy policy);
std::unique_ptr<Target> with_retry(std::shared_ptr<Target> inner, Loop& loop, EventSink& events, RetryPolicy policy);

// The wait before retry `attempt` (from 1); `random` is from [0, 1).
std::chrono::milliseconds retry_delay(const RetryPolicy& policy, std::uint32_t attempt, double random);

} // namespace checkvalve
