// Calls of the awaited state from code that is no coroutine.
#pragma once

#include <unistd.h>

#include <memory>

#include "core/loop.h"
#include "core/task.h"

namespace checkvalve::testing_support {

// Runs the task to its end on a loop of this process: a forked one must not share its parent's.
template <class T> T awaited(Task<T> task) {
  static pid_t owner = 0;
  static std::unique_ptr<Loop> loop;
  if (owner != ::getpid()) {
    (void)loop.release();
    loop = std::make_unique<Loop>();
    owner = ::getpid();
  }
  return loop->run(std::move(task));
}

} // namespace checkvalve::testing_support
