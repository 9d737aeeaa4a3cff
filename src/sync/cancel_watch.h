// CancelWatch: a cancelled run must not wait for a server that has fallen silent.
#pragma once

#include <chrono>

#include "sync/engine.h"

namespace checkvalve {

constexpr std::chrono::milliseconds reading_stop_grace{1'000}; // where nothing is left behind at the endpoints

// From start() to finish(): closes both connections once the run is cancelled and the grace, which is for calls that
// are answered and for removing temporaries, is over. What then still waits on them fails. Engine thread only.
class CancelWatch {
public:
  CancelWatch(Loop& loop, Cancellation& cancellation, Connections& connections, std::chrono::milliseconds grace)
      : timer_(loop), cancellation_(cancellation), connections_(connections), grace_(grace) {}
  void start() { tasks_.spawn(watch()); }
  // Once, while the connections are there.
  Task<void> finish() {
    finished_.set();
    timer_.cancel();
    co_await tasks_.join();
  }

private:
  Task<void> watch() {
    if (co_await finished_.wait(cancellation_)) co_return;
    if (grace_.count() > 0) co_await timer_.wait(grace_);
    if (!finished_.is_set()) co_await close_connections(connections_);
  }

  Timer timer_;
  Cancellation& cancellation_;
  Connections& connections_;
  const std::chrono::milliseconds grace_;
  OneShotEvent finished_;
  TaskGroup tasks_;
};

} // namespace checkvalve
