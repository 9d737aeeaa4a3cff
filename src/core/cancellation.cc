#include "core/cancellation.h"

#include <cassert>

#include "core/loop.h"

namespace checkvalve {

Cancellation::~Cancellation() { assert(!waiters_.linked() && "something still waits with the token"); }

void Cancellation::request(Error reason) {
  if (reason_) return;
  reason_ = std::move(reason);
  while (waiters_.linked()) static_cast<detail::Waiter::CancelNode*>(waiters_.next())->waiter.cancel();
}

Task<bool> Cancellation::sleep(std::chrono::milliseconds duration) {
  co_return co_await Loop::current()->sleep(duration, *this);
}

} // namespace checkvalve
