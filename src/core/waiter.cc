#include "core/waiter.h"

#include "core/cancellation.h"
#include "core/loop.h"

namespace checkvalve::detail {

Waiter::Waiter(const CancellationToken& token) : cancellation_(token.cancellation_) {}

Waiter::~Waiter() {
  if (ready_) loop_->forget(suspended_.handle());
}

bool Waiter::cancelled_before() {
  cancelled_ = cancellation_ && cancellation_->requested();
  return cancelled_;
}

void Waiter::suspended(std::coroutine_handle<> handle) {
  suspended_ = handle;
  if (cancellation_) in_cancellation_.insert_before(cancellation_->waiters_);
}

void Waiter::wake() {
  unlink();
  in_cancellation_.unlink();
  ready_ = true;
  loop_ = Loop::current();
  loop_->resume_soon(suspended_);
}

void Waiter::cancel() {
  wake();
  cancelled_ = true;
  cancelled();
}

} // namespace checkvalve::detail
