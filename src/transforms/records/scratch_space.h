// ScratchSpace: the disk that one temporary database may use, for its table, for what its sorts spill, and for whatever
// else SQLite puts aside: all of it goes through a VFS of its own (https://sqlite.org/vfs.html) that counts.
//
// SQLite removes the name of a temporary file as soon as it has opened it, so the space is free again however the
// process ends. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/result.h"

namespace checkvalve {

struct ScratchLimits {
  std::uint64_t max_disk_bytes = 0; // of all temporary files together
  std::uint64_t min_free_bytes = 0; // that must stay free on their disk
};

class ScratchSpace {
public:
  // Kind transform if the disk has less free than min_free_bytes and `expected_bytes` together.
  static Result<std::unique_ptr<ScratchSpace>> make(const ScratchLimits& limits, std::uint64_t expected_bytes);
  ~ScratchSpace(); // after the databases that use it
  ScratchSpace(const ScratchSpace&) = delete;
  ScratchSpace& operator=(const ScratchSpace&) = delete;

  // For sqlite3_open_v2.
  const char* vfs_name() const { return name_.c_str(); }
  // Why the last write was refused; empty if none was.
  const std::string& refusal() const { return refusal_; }

private:
  struct File;
  struct Methods;
  ScratchSpace(const ScratchLimits& limits, std::string directory);
  static int open(sqlite3_vfs* vfs, sqlite3_filename path, sqlite3_file* file, int flags, int* out_flags);
  // Accounts for a file that grows; false if that is too much.
  bool grow(std::uint64_t bytes);

  const ScratchLimits limits_;
  const std::string directory_;
  sqlite3_vfs* const real_;
  std::string name_;
  sqlite3_vfs vfs_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t unchecked_bytes_ = 0; // written since the disk's free space was last looked at
  std::string refusal_;
};

} // namespace checkvalve
