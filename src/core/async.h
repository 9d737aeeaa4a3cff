// What coroutines of the one engine thread use to wait for each other and for worker threads. Nothing here is
// thread-safe except where it says so; waiters are resumed in the order in which they came, and through the loop's
// ready queue, so that a release never runs the waiter on the releaser's stack.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/loop.h"
#include "core/task.h"

namespace checkvalve {

// Set once; everything that waits, or will wait, goes on.
class OneShotEvent {
public:
  bool is_set() const { return set_; }
  void set() {
    if (set_) return;
    set_ = true;
    if (first_waiter_) Loop::current()->resume_soon(std::exchange(first_waiter_, {}));
    for (auto handle : further_waiters_) Loop::current()->resume_soon(handle);
    further_waiters_.clear();
  }
  auto operator co_await() {
    struct Awaiter {
      OneShotEvent& event;
      bool await_ready() const { return event.set_; }
      void await_suspend(std::coroutine_handle<> handle) {
        if (!event.first_waiter_)
          event.first_waiter_ = handle;
        else
          event.further_waiters_.push_back(handle);
      }
      void await_resume() const {}
    };
    return Awaiter{*this};
  }

private:
  bool set_ = false;
  std::coroutine_handle<> first_waiter_; // mostly the only one: no allocation
  std::vector<std::coroutine_handle<>> further_waiters_;
};

// Wakes one waiter at each change; a change that nobody waited for wakes the next wait at once.
class AutoResetEvent {
public:
  void notify() {
    pending_ = true;
    if (waiter_) Loop::current()->resume_soon(std::exchange(waiter_, {}));
  }
  auto wait() {
    struct Awaiter {
      AutoResetEvent& signal;
      bool await_ready() const { return signal.pending_; }
      void await_suspend(std::coroutine_handle<> handle) { signal.waiter_ = handle; }
      void await_resume() const { signal.pending_ = false; }
    };
    return Awaiter{*this};
  }

private:
  std::coroutine_handle<> waiter_;
  bool pending_ = false;
};

// A coroutine that has been started at once and is awaited later. Dropping it lets the coroutine run on to its end.
template <class T> class JoinHandle {
public:
  struct State {
    OneShotEvent done;
    std::optional<T> value;
  };
  explicit JoinHandle(std::shared_ptr<State> state) : state_(std::move(state)) {}
  bool ready() const { return state_->done.is_set(); }
  // Awaited once.
  auto get() {
    struct Awaiter {
      std::shared_ptr<State> state;
      bool await_ready() const { return state->done.is_set(); }
      void await_suspend(std::coroutine_handle<> handle) { state->done.operator co_await().await_suspend(handle); }
      T await_resume() { return std::move(*state->value); }
    };
    return Awaiter{state_};
  }

private:
  std::shared_ptr<State> state_;
};

namespace detail {

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); } // a bug: detached work reports through values
  };
};

inline Detached run_detached(Task<void> task) { co_await std::move(task); }

template <class T> Detached run_spawned(Task<T> task, std::shared_ptr<typename JoinHandle<T>::State> state) {
  state->value.emplace(co_await std::move(task));
  state->done.set();
}

} // namespace detail

// Runs the task up to its first suspension now, and the rest as events come. Nobody waits for it: prefer TaskGroup.
inline void detach(Task<void> task) { detail::run_detached(std::move(task)); }

template <class T> [[nodiscard]] JoinHandle<T> spawn(Task<T> task) {
  auto state = std::make_shared<typename JoinHandle<T>::State>();
  detail::run_spawned(std::move(task), state);
  return JoinHandle<T>(state);
}

// Starts tasks and waits for all of them.
class TaskGroup {
public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  void spawn(Task<void> task) {
    ++running_;
    run(std::move(task));
  }
  std::size_t running() const { return running_; }
  // May be called again after it returned. One waiter at a time.
  Task<void> join() {
    while (running_ != 0) co_await Idle{*this};
  }

private:
  struct Idle {
    TaskGroup& group;
    bool await_ready() const { return group.running_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) { group.waiter_ = handle; }
    void await_resume() const {}
  };
  detail::Detached run(Task<void> task) {
    co_await std::move(task);
    if (--running_ == 0 && waiter_) Loop::current()->resume_soon(std::exchange(waiter_, {}));
  }
  std::size_t running_ = 0;
  std::coroutine_handle<> waiter_;
};

// Counts down from a number of permits; acquire waits in order, so a large request is never overtaken for ever.
class Semaphore {
public:
  explicit Semaphore(std::uint64_t permits) : free_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  std::uint64_t available() const { return free_; }

  auto acquire(std::uint64_t count = 1) {
    struct Awaiter {
      Semaphore& semaphore;
      std::uint64_t count;
      bool await_ready() {
        if (!semaphore.waiters_.empty() || semaphore.free_ < count) return false;
        semaphore.free_ -= count;
        return true;
      }
      void await_suspend(std::coroutine_handle<> handle) { semaphore.waiters_.push_back({count, handle}); }
      void await_resume() const {}
    };
    return Awaiter{*this, count};
  }
  void release(std::uint64_t count = 1) {
    free_ += count;
    while (!waiters_.empty() && waiters_.front().count <= free_) {
      free_ -= waiters_.front().count;
      Loop::current()->resume_soon(waiters_.front().handle);
      waiters_.pop_front();
    }
  }

private:
  struct Waiter {
    std::uint64_t count;
    std::coroutine_handle<> handle;
  };
  std::uint64_t free_;
  std::list<Waiter> waiters_; // a list allocates nothing while it is empty: many semaphores never see a waiter
};

// Worker threads for what blocks or computes: file I/O, hashes, the state store. With one thread it is a serial queue.
class ThreadPool {
public:
  explicit ThreadPool(unsigned threads);
  ~ThreadPool(); // runs what was queued, then joins
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Thread-safe.
  void submit(std::function<void()> fn);

  // Runs fn on a worker and resumes the caller on the engine thread with its value. fn must not throw.
  template <class F> auto run(F fn) -> Task<decltype(fn())> {
    using T = decltype(fn());
    struct Awaiter {
      ThreadPool& pool;
      F& fn;
      std::optional<T>& value;
      bool await_ready() const { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        pool.submit([this, handle, loop = Loop::current()] {
          value.emplace(fn());
          loop->post([loop, handle] { loop->resume_soon(handle); });
        });
      }
      void await_resume() const {}
    };
    std::optional<T> value;
    co_await Awaiter{*this, fn, value};
    co_return std::move(*value);
  }

private:
  void work();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_; // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
  std::vector<std::thread> threads_;
};

} // namespace checkvalve
