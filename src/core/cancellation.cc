#include "core/cancellation.h"

#include <algorithm>

namespace checkvalve {

Task<void> Cancellation::sleep(std::chrono::milliseconds duration) {
  constexpr std::chrono::milliseconds slice{100}; // how late a stop may be seen
  while (duration.count() > 0 && !requested()) {
    co_await Loop::current()->sleep(std::min(duration, slice));
    duration -= slice;
  }
}

} // namespace checkvalve
