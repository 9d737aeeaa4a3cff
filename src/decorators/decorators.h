// The layers around a backend, put together. Outermost first: retry, throttle, timeout, faults. The throttle is outside
// of the timeout, since waiting for one's turn is not a stall. A backend that bounds its calls by itself gets no
// timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/event.h"
#include "core/loop.h"
#include "decorators/faults.h"

namespace checkvalve {

struct DecoratorOptions {
  Loop* loop = nullptr;        // both outlive what is made
  EventSink* events = nullptr; // for RetryEvent
  std::uint32_t retries = 4;   // after the first try of a call; 0: none
  std::chrono::milliseconds initial_retry_delay{500};
  std::chrono::milliseconds max_retry_delay{30'000};
  std::chrono::milliseconds stall_timeout{60'000}; // of one call; 0: none
  std::uint64_t bytes_per_second = 0;              // of file content; 0: no bound
  std::function<bool()> stopping;                  // true: wait for no tries and no turns any more. May be empty
  std::shared_ptr<FaultPlan> faults;               // tests; null: none
};

std::unique_ptr<Source> with_decorators(std::unique_ptr<Source> source, const DecoratorOptions& options);
std::unique_ptr<Target> with_decorators(std::unique_ptr<Target> target, const DecoratorOptions& options);

} // namespace checkvalve
