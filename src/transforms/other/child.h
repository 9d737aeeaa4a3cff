// Child: a program as a filter, in its own process group, with limits. Used by one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "transforms/emit.h"

namespace checkvalve {

struct ChildSettings {
  std::vector<std::string> argv;        // argv[0] is looked up in $PATH
  std::vector<std::string> environment; // "NAME=value"; nothing else is passed on
  std::chrono::milliseconds timeout{0}; // longest wait for the program to take or give a byte
  std::uint64_t memory_bytes = 0;       // of address space; 0: no limit
  std::uint64_t cpu_seconds = 0;        // 0: no limit
};

class Child {
public:
  // Kind transform if it can't be started.
  static Result<std::unique_ptr<Child>> start(const ChildSettings& settings);
  // Kills the whole group if it still runs, and waits for it.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Gives it the front of `in` and takes what it puts out, until `in` is empty or `out` is full.
  Result<void> feed(Chunk& in, Emit& out);
  // Ends its input and takes the rest of its output. True once it has ended well.
  Result<bool> finish(Emit& out);

private:
  Child() = default;
  // Waits until something can be done, and does it. `in` may be null.
  Result<void> turn(Chunk* in, Emit& out);
  Result<void> wait_for_end();
  void read_errors();
  Failure failure(std::string what);

  std::chrono::milliseconds timeout_{0};
  std::string name_;
  int process_ = -1; // also its group; -1: has been waited for
  int input_ = -1;
  int output_ = -1;
  int errors_ = -1;
  bool takes_input_ = true; // it has not closed its standard input
  std::string stderr_tail_;
};

} // namespace checkvalve
