#include "core/alarm.h"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <cstdint>

#include "core/loop.h"

namespace checkvalve {

struct Alarm::Impl {
  explicit Impl(Loop& loop) : timer(loop.context()) {}
  asio::steady_timer timer;
  std::uint64_t set = 0; // how often: an expiry that is queued while another time is set must not call
};

Alarm::Alarm(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}

Alarm::~Alarm() = default;

void Alarm::set(std::chrono::steady_clock::time_point when, std::function<void()> fn) {
  impl_->timer.expires_at(when);
  impl_->timer.async_wait(
      [weak = std::weak_ptr(impl_), set = ++impl_->set, fn = std::move(fn)](const std::error_code& replaced) {
        const auto impl = weak.lock();
        if (impl && !replaced && impl->set == set) fn();
      });
}

} // namespace checkvalve
