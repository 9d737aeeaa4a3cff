// BootClock: a monotonic clock that also counts while the machine is suspended, as steady_clock does not: a lease runs
// out meanwhile. clock_gettime(2), CLOCK_BOOTTIME.
#pragma once

#include <ctime>

#include <chrono>

namespace checkvalve {

struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    timespec time = {};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

} // namespace checkvalve
