#include "core/loop.h"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <mutex>

namespace checkvalve {
namespace {

thread_local Loop* current_loop = nullptr;

} // namespace

struct Loop::Impl {
  asio::io_context io{1};
  std::mutex mutex;
  std::vector<std::function<void()>> posted; // guarded by mutex
  asio::steady_timer alarm{io};              // for the first of the sleepers
  bool armed = false;
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

// What a frame refers to is older than the frame, so that the newest goes first.
Loop::~Loop() {
  Loop* outer = std::exchange(current_loop, this);
  while (owned_.linked()) static_cast<detail::OwnedFrame*>(owned_.previous())->handle.destroy();
  current_loop = outer;
}

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

void detail::SleepAwaiter::await_suspend(std::coroutine_handle<> handle) {
  deadline_ = std::chrono::steady_clock::now() + duration_;
  loop_.add_sleeper(*this);
  suspended(handle);
}

// Late deadlines come mostly late: the place is searched from the end.
void Loop::add_sleeper(detail::SleepAwaiter& sleeper) {
  detail::ListNode* before = sleepers_.previous();
  while (before != &sleepers_ && static_cast<detail::SleepAwaiter*>(before)->deadline() > sleeper.deadline())
    before = before->previous();
  sleeper.insert_before(*before->next());
  if (!impl_->armed || sleeper.deadline() < impl_->alarm.expiry()) arm();
}

// The alarm stays armed when a sleeper leaves early.
void Loop::arm() {
  impl_->armed = true;
  impl_->alarm.expires_at(static_cast<detail::SleepAwaiter*>(sleepers_.next())->deadline());
  impl_->alarm.async_wait([this](const std::error_code& replaced) {
    if (!replaced) wake_sleepers();
  });
}

void Loop::wake_sleepers() {
  impl_->armed = false;
  const auto now = std::chrono::steady_clock::now();
  while (sleepers_.linked()) {
    auto& first = static_cast<detail::SleepAwaiter&>(*sleepers_.next());
    if (first.deadline() > now) return arm();
    first.wake();
  }
}

void Loop::forget(std::coroutine_handle<> handle) {
  for (auto* queue : {&ready_, &resuming_})
    for (detail::Suspended& suspended : *queue)
      if (suspended.handle() == handle) suspended = std::coroutine_handle<>(std::noop_coroutine());
}

void Loop::on_stop_signal(std::function<void(int)> fn) {
  impl_->on_signal = std::move(fn);
  impl_->signals.emplace(impl_->io, SIGINT, SIGTERM);
  impl_->wait_for_signal();
}

bool Loop::run_ready() {
  bool any = false;
  std::vector<std::function<void()>> tail;
  while (!ready_.empty()) {
    any = true;
    resuming_.swap(ready_);
    for (std::size_t i = 0; i < resuming_.size(); ++i) resuming_[i].resume(); // forget() may change what is to come
    resuming_.clear();
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
  {
    const detail::LockChain chain(detail::LockChain::Of::nobody);
    resume_soon(root_of(std::move(task), done, thrown).handle);
  }
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
