// The engine's event loop: one thread runs all coroutines; other threads hand work over with post().
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/cancellation.h"
#include "core/lock_order.h"
#include "core/task.h"
#include "core/waiter.h"

namespace asio {
class io_context;
}

namespace checkvalve {

namespace detail {

// Part of the promise of a coroutine that nobody destroys and that has no other owner.
struct OwnedFrame : ListNode {
  explicit OwnedFrame(std::coroutine_handle<> its_handle) : handle(its_handle) {}
  std::coroutine_handle<> handle;
};

class SleepAwaiter : public Waiter {
public:
  SleepAwaiter(Loop& loop, std::chrono::milliseconds duration, CancellationToken token)
      : Waiter(token), loop_(loop), duration_(duration) {}
  bool await_ready() { return cancelled_before(); }
  void await_suspend(std::coroutine_handle<> handle);
  bool await_resume() { return resumed(); }
  std::chrono::steady_clock::time_point deadline() const { return deadline_; }

private:
  Loop& loop_;
  std::chrono::milliseconds duration_;
  std::chrono::steady_clock::time_point deadline_;
};

} // namespace detail

class Loop {
public:
  Loop();
  ~Loop(); // destroys spawned and detached coroutines that have not ended, the newest first

  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop that runs the calling thread's coroutines. Null outside of run().
  static Loop* current();

  // Thread-safe: runs fn on the engine thread. Many posts made before the loop wakes cost one wake-up.
  void post(std::function<void()> fn);
  // Engine thread only: resumes the coroutine soon, after the current one suspends.
  void resume_soon(detail::Suspended suspended) { ready_.push_back(std::move(suspended)); }
  // Engine thread only: runs fn once, after everything that is ready now has run. For batching, e.g. one flush a turn.
  void at_end_of_turn(std::function<void()> fn) { end_of_turn_.push_back(std::move(fn)); }

  // Engine thread only: takes back resume_soon, for a coroutine that is destroyed before its turn.
  void forget(std::coroutine_handle<> handle);

  // Engine thread only: owns a coroutine that nothing else does, until its frame ends.
  void own(detail::OwnedFrame& frame) { frame.insert_before(owned_); }

  // Suspends the calling coroutine. False if it was cancelled. Engine thread only.
  detail::SleepAwaiter sleep(std::chrono::milliseconds duration, CancellationToken token = {}) {
    return {*this, duration, token};
  }

  // Calls fn(signal_number) on the engine thread at each SIGINT and SIGTERM until the loop is destroyed.
  void on_stop_signal(std::function<void(int)> fn);

  // Runs the task to its end on the calling thread and returns its value. Spawned and detached tasks that are still
  // suspended then stay so until the next run: join what must end (core/async.h, TaskGroup).
  template <class T> T run(Task<T> task) {
    std::optional<T> value;
    run_until_done(store(std::move(task), value));
    return std::move(*value);
  }
  void run(Task<void> task) { run_until_done(std::move(task)); }

  asio::io_context& context();

private:
  friend class detail::SleepAwaiter;
  template <class T> static Task<void> store(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }
  void run_until_done(Task<void> task);
  bool run_ready();
  void add_sleeper(detail::SleepAwaiter& sleeper);
  void wake_sleepers();
  void arm();
  void run_posted();

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<detail::Suspended> ready_;
  std::vector<detail::Suspended> resuming_; // of the present turn
  detail::ListNode sleepers_;               // SleepAwaiter by deadline
  detail::ListNode owned_;                  // OwnedFrame by age
  std::vector<std::function<void()>> end_of_turn_;
};

// A sleep that its owner can cut short. Engine thread only; one waiter at a time; outlives its waiter.
class Timer {
public:
  class Awaiter;
  explicit Timer(Loop& loop) : loop_(loop) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  // False if the token was cancelled.
  Awaiter wait(std::chrono::milliseconds duration, CancellationToken token = {});
  // The present wait returns; later waits are not touched.
  void cancel();

private:
  Loop& loop_;
  Awaiter* waiting_ = nullptr;
};

class Timer::Awaiter final : public detail::SleepAwaiter {
public:
  Awaiter(Timer& timer, std::chrono::milliseconds duration, CancellationToken token)
      : SleepAwaiter(timer.loop_, duration, token), timer_(timer) {}
  ~Awaiter() {
    if (timer_.waiting_ == this) timer_.waiting_ = nullptr;
  }
  void await_suspend(std::coroutine_handle<> handle) {
    timer_.waiting_ = this;
    SleepAwaiter::await_suspend(handle);
  }

private:
  Timer& timer_;
};

inline Timer::Awaiter Timer::wait(std::chrono::milliseconds duration, CancellationToken token) {
  return {*this, duration, token};
}

inline void Timer::cancel() {
  if (waiting_ && waiting_->linked()) waiting_->wake();
}

} // namespace checkvalve
