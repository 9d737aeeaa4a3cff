// What an attempt that has ended left at a server, opened to be continued.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/sftp/file_streams.h"

namespace checkvalve {

struct PartialFile {
  std::vector<std::string> names; // absolute; it has one of them, or `name` already
  std::string name;               // that it gets: requests which a lost connection left with the server don't know it
  std::uint64_t acknowledged_bytes = 0;
  std::uint64_t size_bytes = 0; // of the whole file, as FileStreams::Open
};

// Renames the file and opens it for writing. What the server has acknowledged is taken for written, as far as the
// file's length does not contradict. not_found: it is gone; integrity: it is shorter, or not a file. After an error it
// may have its new name.
Task<Result<std::unique_ptr<FileStreams>>> open_partial(std::shared_ptr<ConnectionPool> pool, PartialFile partial);

} // namespace checkvalve
