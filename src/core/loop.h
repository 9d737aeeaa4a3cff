// The engine's event loop: one thread runs all coroutines; other threads hand work over with post().
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/task.h"

namespace asio {
class io_context;
}

namespace checkvalve {

class Loop {
public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop that runs the calling thread's coroutines. Null outside of run().
  static Loop* current();

  // Thread-safe: runs fn on the engine thread. Many posts made before the loop wakes cost one wake-up.
  void post(std::function<void()> fn);
  // Engine thread only: resumes the coroutine soon, after the current one suspends.
  void resume_soon(std::coroutine_handle<> handle) { ready_.push_back(handle); }
  // Engine thread only: runs fn once, after everything that is ready now has run. For batching, e.g. one flush a turn.
  void at_end_of_turn(std::function<void()> fn) { end_of_turn_.push_back(std::move(fn)); }

  // Suspends the calling coroutine. Engine thread only.
  Task<void> sleep(std::chrono::milliseconds duration);

  // Calls fn(signal_number) on the engine thread at each SIGINT and SIGTERM until the loop is destroyed.
  void on_stop_signal(std::function<void(int)> fn);

  // Runs the task to its end on the calling thread and returns its value. Detached tasks that are still suspended
  // then stay suspended: join what must end (core/async.h, TaskGroup).
  template <class T> T run(Task<T> task) {
    std::optional<T> value;
    run_until_done(store(std::move(task), value));
    return std::move(*value);
  }
  void run(Task<void> task) { run_until_done(std::move(task)); }

  asio::io_context& context();

private:
  friend class Timer;
  template <class T> static Task<void> store(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }
  void run_until_done(Task<void> task);
  bool run_ready();
  void run_posted();

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::function<void()>> end_of_turn_;
};

// A sleep that can be cut short. Engine thread only; one waiter at a time; must outlive its waiter.
class Timer {
public:
  explicit Timer(Loop& loop);
  ~Timer();
  Task<void> wait(std::chrono::milliseconds duration);
  // The present wait returns soon; later waits are not touched.
  void cancel();

private:
  struct Impl;
  Loop& loop_;
  std::unique_ptr<Impl> impl_;
};

} // namespace checkvalve
