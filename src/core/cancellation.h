// Cancellation: the wish that everything under way ends early, with a reason. Whoever may cancel has the Cancellation;
// whoever only has to notice gets its token, which every wait accepts. Engine thread only.
#pragma once

#include <chrono>
#include <optional>

#include "core/error.h"
#include "core/task.h"
#include "core/waiter.h"

namespace checkvalve {

// Outlives its tokens and whatever waits with one.
class Cancellation {
public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation(); // nothing waits with a token any more

  // Resumes all waits with a token. The first reason stays.
  void request(Error reason);
  bool requested() const { return reason_.has_value(); }
  const Error& reason() const { return *reason_; }
  CancellationToken token();

  // Sleeps, at most until the cancellation. False if it was cancelled.
  Task<bool> sleep(std::chrono::milliseconds duration);

private:
  friend class detail::Waiter;
  std::optional<Error> reason_;
  detail::ListNode waiters_;
};

// A view of a Cancellation. Cheap to copy; a default one is never cancelled.
class CancellationToken {
public:
  CancellationToken() = default;
  CancellationToken(Cancellation& cancellation) : cancellation_(&cancellation) {} // NOLINT: implicit on purpose
  bool requested() const { return cancellation_ && cancellation_->requested(); }
  const Error& reason() const { return cancellation_->reason(); }

private:
  friend class detail::Waiter;
  Cancellation* cancellation_ = nullptr;
};

inline CancellationToken Cancellation::token() { return *this; }

} // namespace checkvalve
