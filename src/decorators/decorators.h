// The decorators around a backend's sides. Outermost first: retry, error context, throttle, timeout. The context is
// inside of the retry, so that a RetryEvent has it; the throttle is outside of the timeout, since waiting for one's
// turn is not a stall. A side that bounds its own calls gets no timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/backoff.h"
#include "core/cancellation.h"
#include "core/event.h"
#include "core/loop.h"
#include "decorators/error_context.h"

namespace checkvalve {

struct DecoratorOptions {
  Loop* loop = nullptr;        // both outlive what is made
  EventSink* events = nullptr; // for RetryEvent
  std::uint32_t retries = 4;   // after the first try of a call; 0: none
  Backoff backoff;
  std::chrono::milliseconds stall_timeout{60'000}; // of one call; 0: none
  std::uint64_t bytes_per_second = 0;              // of file content; 0: no bound
  CancellationToken token;                         // cancelled: waits for no retry and no turn any more
};

// `context` is added to the errors of this endpoint.
std::unique_ptr<Source> with_decorators(std::unique_ptr<Source> source, ErrorContext context,
                                        const DecoratorOptions& options);
std::unique_ptr<Target> with_decorators(std::unique_ptr<Target> target, ErrorContext context,
                                        const DecoratorOptions& options);

} // namespace checkvalve
