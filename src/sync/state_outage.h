// Outages of the state while planning and running: transient errors (a lock, a failover of the database) are waited
// out.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/backoff.h"
#include "sync/boot_clock.h"
#include "sync/engine.h"

namespace checkvalve {

// The longest that a run waits for its state to answer.
inline constexpr std::chrono::minutes max_state_outage{3};

// Consecutive failures of one call.
class StateOutage {
public:
  // Whether to make the call again, after delay().
  bool add(const Error& error) {
    if (!error.transient() || error.kind == ErrorKind::lease) return false;
    const BootClock::time_point now = BootClock::now();
    if (failures_++ == 0) begin_ = now;
    delay_ = Backoff().delay(failures_);
    return now - begin_ <= max_state_outage;
  }
  void end() { *this = {}; }
  std::chrono::milliseconds delay() const { return delay_; }
  RetryEvent event(const Error& error) const { return {"", error, failures_ + 1, delay_.count()}; }

private:
  std::uint32_t failures_ = 0;
  BootClock::time_point begin_;
  std::chrono::milliseconds delay_{0};
};

// Makes `call`, which gives a task of a Result, until it succeeds or fails for good. Once the run is cancelled it is
// made no more than once. The task runs after `call` has returned: it must not refer to temporaries of `call`.
template <class Call> auto outlast(Engine& engine, Call call) -> decltype(call()) {
  StateOutage outage;
  while (true) {
    auto result = co_await call();
    if (result || engine.cancellation.requested() || !outage.add(result.error())) co_return result;
    engine.events.emit(outage.event(result.error()));
    co_await engine.cancellation.sleep(outage.delay());
  }
}

} // namespace checkvalve
