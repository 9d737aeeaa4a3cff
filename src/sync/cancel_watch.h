// CancelWatch: a stop must not wait for a server that has fallen silent.
#pragma once

#include <chrono>

#include "sync/engine.h"

namespace checkvalve {

constexpr std::chrono::milliseconds reading_stop_grace{1'000}; // where nothing is left behind at the endpoints

// From start() to finish(): closes both ends once a stop was requested and the grace, which is for operations that
// answer and for removing temporaries, is over. What then still waits on them fails. Engine thread only.
class CancelWatch {
public:
  CancelWatch(Loop& loop, Cancellation& cancellation, Connections& connections, std::chrono::milliseconds grace)
      : timer_(loop), cancellation_(cancellation), connections_(connections), grace_(grace) {}
  void start() { tasks_.spawn(watch()); }
  // Once, before the ends go.
  Task<void> finish() {
    finished_ = true;
    timer_.cancel();
    co_await tasks_.join();
  }

private:
  Task<void> watch() {
    constexpr std::chrono::milliseconds tick{100};
    while (!finished_ && !cancellation_.requested()) co_await timer_.wait(tick);
    if (!finished_ && grace_.count() > 0) co_await timer_.wait(grace_);
    if (!finished_) co_await close_connections(connections_);
  }

  Timer timer_;
  Cancellation& cancellation_;
  Connections& connections_;
  const std::chrono::milliseconds grace_;
  bool finished_ = false;
  TaskGroup tasks_;
};

} // namespace checkvalve
