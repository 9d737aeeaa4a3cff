// What coroutines of the one engine thread wait with: for each other, and for worker threads. Nothing here is
// thread-safe except where it says so. Waiters are resumed in the order in which they came, through the loop's ready
// queue: never on the stack of whoever wakes them.
//
// Every wait accepts a CancellationToken and gives false, or an empty permit, if it was cancelled before it got what it
// waited for; what can be had without waiting is had even then. Destroying a coroutine that waits ends its wait. What
// is waited for is destroyed after its waiters: debug builds assert it.
#pragma once

#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/cancellation.h"
#include "core/lock_order.h"
#include "core/loop.h"
#include "core/task.h"
#include "core/waiter.h"

namespace checkvalve {

// An event that is set once: resumes all current waiters, and later ones don't wait.
class OneShotEvent {
public:
  class Awaiter;
  OneShotEvent() = default;
  OneShotEvent(const OneShotEvent&) = delete;
  OneShotEvent& operator=(const OneShotEvent&) = delete;
  ~OneShotEvent() { assert(!waiters_.linked() && "something still waits for the event"); }
  bool is_set() const { return set_; }
  void set() {
    set_ = true;
    while (waiters_.linked()) static_cast<detail::Waiter*>(waiters_.next())->wake();
  }
  Awaiter wait(CancellationToken token = {});
  Awaiter operator co_await();

private:
  bool set_ = false;
  detail::ListNode waiters_;
};

class OneShotEvent::Awaiter final : detail::Waiter {
public:
  Awaiter(OneShotEvent& event, CancellationToken token) : Waiter(token), event_(event) {}
  bool await_ready() { return event_.set_ || cancelled_before(); }
  void await_suspend(std::coroutine_handle<> handle) {
    insert_before(event_.waiters_);
    suspended(handle);
  }
  bool await_resume() { return resumed(); }

private:
  OneShotEvent& event_;
};

inline OneShotEvent::Awaiter OneShotEvent::wait(CancellationToken token) { return {*this, token}; }
inline OneShotEvent::Awaiter OneShotEvent::operator co_await() { return wait(); }

// Each notification wakes the waiter; one that nobody waited for is kept, once, for the next wait. One waiter at a
// time.
class AutoResetEvent {
public:
  class Awaiter;
  AutoResetEvent() = default;
  AutoResetEvent(const AutoResetEvent&) = delete;
  AutoResetEvent& operator=(const AutoResetEvent&) = delete;
  ~AutoResetEvent() { assert(!waiter_.linked() && "something still waits for the event"); }
  void notify() {
    pending_ = true;
    if (waiter_.linked()) static_cast<detail::Waiter*>(waiter_.next())->wake();
  }
  Awaiter wait(CancellationToken token = {});

private:
  bool pending_ = false;
  detail::ListNode waiter_;
};

class AutoResetEvent::Awaiter final : detail::Waiter {
public:
  Awaiter(AutoResetEvent& event, CancellationToken token) : Waiter(token), event_(event) {}
  bool await_ready() { return event_.pending_ || cancelled_before(); }
  void await_suspend(std::coroutine_handle<> handle) {
    assert(!event_.waiter_.linked() && "one waiter at a time");
    insert_before(event_.waiter_);
    suspended(handle);
  }
  bool await_resume() {
    if (!resumed()) return false;
    event_.pending_ = false;
    return true;
  }

private:
  AutoResetEvent& event_;
};

inline AutoResetEvent::Awaiter AutoResetEvent::wait(CancellationToken token) { return {*this, token}; }

// A number of permits. Waiters are served in order, so a large request is not overtaken again and again. `Count` is a
// number, or several that are taken together. With a rank, debug builds assert the lock order (core/lock_order.h).
template <class Count> class BasicSemaphore {
public:
  class Awaiter;

  // Some permits of a semaphore, given back by the destructor. Empty: none, as after a wait that was cancelled.
  class [[nodiscard]] Permit {
  public:
    Permit() = default;
    Permit(Permit&& other) noexcept
        : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(std::exchange(other.count_, {})),
          rank_(std::move(other.rank_)) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this == &other) return *this;
      release();
      semaphore_ = std::exchange(other.semaphore_, nullptr);
      count_ = std::exchange(other.count_, {});
      rank_ = std::move(other.rank_);
      return *this;
    }
    ~Permit() { release(); }
    explicit operator bool() const { return semaphore_ != nullptr; }
    Count count() const { return count_; }
    // For the lock order: the calling coroutine holds it from here on, though another one took it.
    void adopt() { rank_.enter(); }
    // Gives them back early.
    void release() {
      if (!semaphore_) return;
      rank_.leave();
      std::exchange(semaphore_, nullptr)->give_back(std::exchange(count_, {}));
    }

  private:
    friend class BasicSemaphore;
    Permit(BasicSemaphore& semaphore, Count count) : semaphore_(&semaphore), count_(count), rank_(semaphore.rank_) {}
    BasicSemaphore* semaphore_ = nullptr;
    Count count_{};
    [[no_unique_address]] detail::HeldRank rank_;
  };

  explicit BasicSemaphore(Count permits, LockRank rank = LockRank::none) : free_(permits), rank_(rank) {}
  BasicSemaphore(const BasicSemaphore&) = delete;
  BasicSemaphore& operator=(const BasicSemaphore&) = delete;
  ~BasicSemaphore() {
    assert(!waiters_.linked() && "something still waits for permits");
    assert(held_ == Count{} && "a permit outlives its semaphore");
  }
  Count available() const { return free_; }
  // Raises the number of permits.
  void add(Count count) {
    free_ += count;
    serve();
  }
  // Gives a Permit, which is empty if the wait was cancelled.
  Awaiter acquire(Count count, CancellationToken token = {}) { return {*this, count, token}; }
  Awaiter acquire() { return {*this, Count{1}, {}}; }

private:
  bool take(Count count) {
    if (!(count <= free_)) return false;
    free_ -= count;
    held_ += count;
    return true;
  }
  void give_back(Count count) {
    held_ -= count;
    add(count);
  }
  void serve() {
    while (waiters_.linked()) {
      auto& first = static_cast<Awaiter&>(*waiters_.next());
      if (!take(first.count_)) return;
      first.has_ = true;
      first.wake();
    }
  }

  Count free_;
  Count held_{};
  const LockRank rank_;
  detail::ListNode waiters_;
};

template <class Count> class BasicSemaphore<Count>::Awaiter final : detail::Waiter {
public:
  Awaiter(BasicSemaphore& semaphore, Count count, CancellationToken token)
      : Waiter(token), semaphore_(semaphore), count_(count) {}
  ~Awaiter() {
    if (linked()) left();                              // those behind it may be small enough
    if (ready() && has_) semaphore_.give_back(count_); // destroyed before it was resumed
  }
  bool await_ready() {
    detail::assert_may_wait_for(semaphore_.rank_);
    has_ = !semaphore_.waiters_.linked() && semaphore_.take(count_);
    return has_ || cancelled_before();
  }
  void await_suspend(std::coroutine_handle<> handle) {
    insert_before(semaphore_.waiters_);
    suspended(handle);
  }
  Permit await_resume() { return resumed() ? Permit(semaphore_, count_) : Permit(); }

private:
  friend class BasicSemaphore;
  void cancelled() override { semaphore_.serve(); }
  void left() {
    unlink();
    semaphore_.serve();
  }

  BasicSemaphore& semaphore_;
  const Count count_;
  bool has_ = false;
};

using Semaphore = BasicSemaphore<std::uint64_t>;

// A coroutine that was spawned and is awaited later. Dropping the handle neither ends nor awaits it: it runs on to its
// end, for nobody, and what it refers to must live until then; a TaskGroup is better where it has no value to give.
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
      OneShotEvent::Awaiter done;
      bool await_ready() { return done.await_ready(); }
      void await_suspend(std::coroutine_handle<> handle) { done.await_suspend(handle); }
      T await_resume() {
        done.await_resume();
        return std::move(*state->value);
      }
    };
    return Awaiter{state_, state_->done.wait()};
  }

private:
  std::shared_ptr<State> state_;
};

namespace detail {

// Starts at once and frees itself at its end. One that never ends, because what it waits for never comes, is destroyed
// with the loop.
struct Detached {
  struct promise_type : OwnedFrame {
    promise_type() : OwnedFrame(std::coroutine_handle<promise_type>::from_promise(*this)) {
      if (Loop* loop = Loop::current()) loop->own(*this);
    }
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

// Runs the task up to its first suspension, and the rest as events come. Nobody waits for it: prefer TaskGroup. What it
// refers to is its own, or outlives the loop: there it ends at the latest.
inline void detach(Task<void> task) {
  const detail::LockChain chain(detail::LockChain::Of::nobody);
  detail::run_detached(std::move(task));
}

template <class T> [[nodiscard]] JoinHandle<T> spawn(Task<T> task) {
  const detail::LockChain chain(detail::LockChain::Of::present);
  auto state = std::make_shared<typename JoinHandle<T>::State>();
  detail::run_spawned(std::move(task), state);
  return JoinHandle<T>(state);
}

// Tasks that run at the same time, and the wait for all of them. Joined before it is destroyed.
class TaskGroup {
public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { assert(running_ == 0 && "tasks of the group still run"); }
  void spawn(Task<void> task) {
    const detail::LockChain chain(detail::LockChain::Of::present);
    run(std::move(task), Running(*this));
  }
  std::size_t running() const { return running_; }
  // May be called again after it returned. One waiter at a time.
  Task<void> join() {
    while (running_ != 0) co_await idle_.wait();
  }

private:
  struct Running {
    explicit Running(TaskGroup& in) : group(&in) { ++group->running_; }
    Running(Running&& other) noexcept : group(std::exchange(other.group, nullptr)) {}
    ~Running() {
      if (group && --group->running_ == 0) group->idle_.notify();
    }
    TaskGroup* group;
  };
  static detail::Detached run(Task<void> task, Running /*until the end*/) { co_await std::move(task); }
  std::size_t running_ = 0;
  AutoResetEvent idle_;
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

  // Runs fn on a worker and resumes the caller on the engine thread with its value. fn must not throw. The caller must
  // not be destroyed meanwhile: the worker writes into its frame.
  template <class F> auto run(F fn) -> Task<decltype(fn())> {
    using T = decltype(fn());
    struct Awaiter {
      ThreadPool& pool;
      F& fn;
      std::optional<T>& value;
      detail::Suspended suspended = {};
      bool await_ready() const { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        suspended = handle;
        pool.submit([this, loop = Loop::current()] {
          value.emplace(fn());
          loop->post([this, loop] { loop->resume_soon(std::move(suspended)); });
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
