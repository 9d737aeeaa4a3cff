// Retry: repeats calls that fail with transient errors, where repeating is safe. Reading and writing a file's body is
// not: a half-consumed body can't be replayed from here, so whole files are repeated by the transfer.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/backoff.h"
#include "core/cancellation.h"
#include "core/event.h"
#include "core/loop.h"

namespace checkvalve {

struct RetryPolicy {
  std::uint32_t retries = 4; // after the first try
  Backoff backoff;
  CancellationToken token; // cancelled: no more retries
};

// Each retry emits a RetryEvent. When the retries are used up, the last error comes with ErrorStatus::exhausted; after
// a cancellation it stays transient.
std::unique_ptr<Source> with_retry(std::shared_ptr<Source> inner, Loop& loop, EventSink& events, RetryPolicy policy);
std::unique_ptr<Target> with_retry(std::shared_ptr<Target> inner, Loop& loop, EventSink& events, RetryPolicy policy);

} // namespace checkvalve
