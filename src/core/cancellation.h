// Stop: the wish to end early, set by a signal or by a failure that ends the run. Engine thread only.
#pragma once

#include <optional>

#include "core/async.h"
#include "core/result.h"

namespace checkvalve {

class Cancellation {
public:
  // The first reason stays.
  void request(Error reason) {
    if (reason_) return;
    reason_ = std::move(reason);
    event_.set();
  }
  bool requested() const { return reason_.has_value(); }
  const Error& reason() const { return *reason_; }
  OneShotEvent& event() { return event_; }

  // Sleeps, but no longer than until a stop is requested.
  Task<void> sleep(std::chrono::milliseconds duration);

private:
  std::optional<Error> reason_;
  OneShotEvent event_;
};

} // namespace checkvalve
