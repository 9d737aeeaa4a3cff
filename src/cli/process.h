// What the program sets up around its work: memory, signals, its parent, its files.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/alarm.h"
#include "core/loop.h"
#include "core/result.h"

namespace checkvalve {

// To be called first in main, before there are threads: few malloc arenas, no SIGPIPE, the locale's character set, open
// standard descriptors. Records the parent process.
void prepare_process();

// Notices the end of the parent process: by a SIGTERM from the kernel (PR_SET_PDEATHSIG) and, where
// standard input is a pipe or a socket, by its end. The kernel's signal comes when the thread that started this process
// ends, even if its process lives on.
class ParentWatch {
public:
  // If the parent is not the one of prepare_process() any more, `gone` is called at once, else from the loop.
  // `watch_input`: false if standard input was read to its end for something else.
  ParentWatch(Loop& loop, bool watch_input, std::function<void()> gone);
  ~ParentWatch();
  ParentWatch(const ParentWatch&) = delete;
  ParentWatch& operator=(const ParentWatch&) = delete;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Calls fn on the engine thread every 100 ms while the loop runs.
class Ticker {
public:
  Ticker(Loop& loop, std::function<void()> fn);

private:
  void wait();

  Alarm alarm_;
  std::function<void()> fn_;
};

// The state's location for open_state_store: `given`, or the default one, whose directory is created. Kind config or
// state.
Result<std::string> state_location(const std::string& given);

} // namespace checkvalve
