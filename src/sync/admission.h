// Admission: the one place where a file waits for its share of open files and of the buffer budget. It gets both at
// once and keeps them to its end. Comes after batch slots and before everything that backends wait for: the lock order
// is in docs/architecture.md. Engine thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "core/async.h"

namespace checkvalve {

class Admission {
public:
  Admission(std::uint64_t files, std::uint64_t memory_bytes)
      : files_(files), bytes_(memory_bytes), all_bytes_(memory_bytes) {}

  class Permit {
  public:
    Permit(Admission& admission, std::uint64_t bytes) : admission_(&admission), bytes_(bytes) {}
    Permit(Permit&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)), bytes_(other.bytes_) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (admission_) admission_->give_back(bytes_);
    }
    std::uint64_t bytes() const { return bytes_; }

  private:
    Admission* admission_;
    std::uint64_t bytes_;
  };

  // Waits, in order of asking, for one file and this many bytes (at most all there are).
  Task<Permit> enter(std::uint64_t bytes) {
    bytes = std::min(bytes, all_bytes_);
    if (waiting_.empty() && files_ > 0 && bytes <= bytes_) {
      take(bytes);
    } else {
      co_await Wait{*this, bytes};
    }
    co_return Permit(*this, bytes);
  }

private:
  struct Waiter {
    std::uint64_t bytes;
    std::coroutine_handle<> handle;
  };
  struct Wait {
    Admission& admission;
    std::uint64_t bytes;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { admission.waiting_.push_back({bytes, handle}); }
    void await_resume() const {}
  };
  void take(std::uint64_t bytes) {
    --files_;
    bytes_ -= bytes;
  }
  void give_back(std::uint64_t bytes) {
    ++files_;
    bytes_ += bytes;
    while (!waiting_.empty() && files_ > 0 && waiting_.front().bytes <= bytes_) {
      take(waiting_.front().bytes);
      Loop::current()->resume_soon(waiting_.front().handle);
      waiting_.pop_front();
    }
  }

  std::uint64_t files_;
  std::uint64_t bytes_;
  const std::uint64_t all_bytes_;
  std::deque<Waiter> waiting_;
};

} // namespace checkvalve
