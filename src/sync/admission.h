// Admission: the one place where a file waits for its share of open files and of the buffer budget. It gets both at
// once and keeps them to its end. Comes after batch slots and before everything that backends wait for
// (core/lock_order.h). Engine thread only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/async.h"

namespace checkvalve {

struct FileShare {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;

  bool operator==(const FileShare&) const = default;
  bool operator<=(const FileShare& other) const { return files <= other.files && bytes <= other.bytes; }
  FileShare& operator+=(const FileShare& other) {
    files += other.files;
    bytes += other.bytes;
    return *this;
  }
  FileShare& operator-=(const FileShare& other) {
    files -= other.files;
    bytes -= other.bytes;
    return *this;
  }
};

class Admission {
public:
  using Permit = BasicSemaphore<FileShare>::Permit;

  Admission(std::uint64_t files, std::uint64_t memory_bytes)
      : shares_({files, memory_bytes}, LockRank::admission), all_bytes_(memory_bytes) {}

  // Waits, in order of asking, for one file and this many bytes (at most all there are). Awaited; gives a Permit, which
  // is empty if the wait was cancelled.
  auto enter(std::uint64_t bytes, CancellationToken token = {}) {
    return shares_.acquire({1, std::min(bytes, all_bytes_)}, token);
  }

private:
  BasicSemaphore<FileShare> shares_;
  const std::uint64_t all_bytes_;
};

} // namespace checkvalve
