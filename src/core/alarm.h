// A callback at a point in time, for what is not a coroutine. Keeps the timer's library out of the files that use it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace checkvalve {

class Loop;

// Engine thread only.
class Alarm {
public:
  explicit Alarm(Loop& loop);
  ~Alarm(); // what is set is not called
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // Calls fn once, on the engine thread, at `when` or soon after it, in place of what was set before.
  void set(std::chrono::steady_clock::time_point when, std::function<void()> fn);

private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace checkvalve
