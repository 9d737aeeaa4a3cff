#include "core/loop.h"

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <mutex>

namespace checkvalve {
namespace {

thread_local Loop* current_loop = nullptr;

struct TimerAwaiter {
  asio::steady_timer& timer;
  Loop& loop;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    timer.async_wait([this, handle](const std::error_code&) { loop.resume_soon(handle); });
  }
  void await_resume() const {}
};

} // namespace

struct Loop::Impl {
  asio::io_context io{1};
  std::mutex mutex;
  std::vector<std::function<void()>> posted; // guarded by mutex
  std::optional<asio::signal_set> signals;
  std::function<void(int)> on_signal;

  void wait_for_signal() {
    signals->async_wait([this](const std::error_code& error, int number) {
      if (error) return;
      on_signal(number);
      wait_for_signal();
    });
  }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

Loop* Loop::current() { return current_loop; }
asio::io_context& Loop::context() { return impl_->io; }

void Loop::post(std::function<void()> fn) {
  bool first = false;
  {
    std::lock_guard lock(impl_->mutex);
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(fn));
  }
  if (first) asio::post(impl_->io, [this] { run_posted(); });
}

void Loop::run_posted() {
  std::vector<std::function<void()>> batch;
  {
    std::lock_guard lock(impl_->mutex);
    batch.swap(impl_->posted);
  }
  for (auto& fn : batch) fn();
}

Task<void> Loop::sleep(std::chrono::milliseconds duration) {
  asio::steady_timer timer(impl_->io, duration);
  co_await TimerAwaiter{timer, *this};
}

struct Timer::Impl {
  asio::steady_timer timer;
};

Timer::Timer(Loop& loop) : loop_(loop), impl_(std::make_unique<Impl>(asio::steady_timer(loop.impl_->io))) {}
Timer::~Timer() = default;

Task<void> Timer::wait(std::chrono::milliseconds duration) {
  impl_->timer.expires_after(duration);
  co_await TimerAwaiter{impl_->timer, loop_};
}

void Timer::cancel() { impl_->timer.cancel(); }

void Loop::on_stop_signal(std::function<void(int)> fn) {
  impl_->on_signal = std::move(fn);
  impl_->signals.emplace(impl_->io, SIGINT, SIGTERM);
  impl_->wait_for_signal();
}

bool Loop::run_ready() {
  bool any = false;
  std::vector<std::coroutine_handle<>> batch;
  std::vector<std::function<void()>> tail;
  while (!ready_.empty()) {
    any = true;
    batch.clear();
    batch.swap(ready_);
    for (auto handle : batch) handle.resume();
  }
  while (!end_of_turn_.empty()) {
    any = true;
    tail.clear();
    tail.swap(end_of_turn_);
    for (auto& fn : tail) fn();
  }
  return any;
}

namespace {

// The root coroutine of a run: destroys itself at its end and sets the flag.
struct Root {
  struct promise_type {
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

Root root_of(Task<void> task, bool& done, std::exception_ptr& thrown) {
  try {
    co_await std::move(task);
  } catch (...) {
    thrown = std::current_exception();
  }
  done = true;
}

} // namespace

void Loop::run_until_done(Task<void> task) {
  Loop* outer = std::exchange(current_loop, this);
  bool done = false;
  std::exception_ptr thrown;
  impl_->io.restart();
  auto work = asio::make_work_guard(impl_->io);
  resume_soon(root_of(std::move(task), done, thrown).handle);
  while (!done) {
    run_ready();
    if (done) break;
    if (!ready_.empty() || !end_of_turn_.empty()) {
      impl_->io.poll();
    } else {
      impl_->io.run_one();
      impl_->io.poll();
    }
  }
  current_loop = outer;
  if (thrown) std::rethrow_exception(thrown);
}

} // namespace checkvalve
