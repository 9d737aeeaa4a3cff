// The pace of requests to one endpoint, and when a failed request is retried.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "core/async.h"
#include "core/cancellation.h"
#include "core/result.h"

namespace checkvalve {

// Delays the requests of an endpoint until Retry-After is over and, once the service throttles, to the rate that it
// admits: 80 % of the requests that it answered in the last second, growing by 5 % a second, and faster the longer it
// does not throttle again. Costs nothing before the first throttled request. Engine thread only.
class RequestPacer {
public:
  using Clock = std::chrono::steady_clock;

  // Waits for this request's turn, in order of the calls. Returns early if it is cancelled.
  Task<void> admit(CancellationToken cancellation);
  void succeeded(Clock::time_point now = Clock::now());
  // A request was throttled. `retry_after`: the delay that the service asked for; zero: none.
  void throttled(std::chrono::milliseconds retry_after, Clock::time_point now = Clock::now());

  std::uint64_t successes() const { return successes_; }
  // Requests a second; 0: no limit.
  double rate(Clock::time_point now = Clock::now()) const;

private:
  struct Second { // the events of the last second that had any
    std::deque<Clock::time_point> times;
    void add(Clock::time_point now);
    std::size_t count();
  };

  std::uint64_t successes_ = 0;
  Second answered_;
  Second refused_;
  double base_rate_ = 0; // at the latest decrease; 0: never throttled
  Clock::time_point decreased_;
  Clock::time_point next_;         // when the next request may leave
  Clock::time_point paused_until_; // Retry-After
  Semaphore turn_{1};
};

// The tries of one request. A throttled try does not count while other requests of the endpoint succeed.
class Retries {
public:
  Retries(const RequestPacer& pacer, int tries) : pacer_(pacer), tries_left_(tries), tries_(tries) {}
  // The delay before the next try; nothing: the error is final. Exponential, with jitter.
  std::optional<std::chrono::milliseconds> after(const Error& error, bool throttled);
  // The request got further than before: the tries begin again.
  void progressed() { tries_left_ = tries_; }

private:
  const RequestPacer& pacer_;
  int tries_left_;
  const int tries_;
  int throttled_ = 0;
  std::uint64_t seen_successes_ = 0;
};

// Retry-After (RFC 9110, 10.2.3): seconds or a date; zero where it can't be read. `now_s`: since 1970 UTC.
std::chrono::milliseconds read_retry_after(std::string_view text, std::int64_t now_s);

} // namespace checkvalve
