// SideFiles: what transforms publish beside a file: checksums, rejected records. Each is an upload of its own, begun
// with its first byte; an empty one is not published. Engine thread only, one call at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/target.h"
#include "core/async.h"

namespace checkvalve {

// The name under which the number-th side file waits. It differs from those of all planned files.
TemporaryName side_temporary(TemporaryName of_file, std::size_t number);

class SideFiles {
public:
  SideFiles(Target& target, std::string path, TemporaryName temporary, std::vector<std::string> suffixes)
      : target_(target), path_(std::move(path)), temporary_(std::move(temporary)), files_(suffixes.size()),
        suffixes_(std::move(suffixes)) {}

  std::size_t count() const { return files_.size(); }
  Task<Result<void>> write(std::size_t number, std::string text);
  // Publishes those that have content, with the file's own options but for size and mode.
  Task<Result<void>> commit(CommitOptions options);
  Task<void> abort();

private:
  struct File {
    std::unique_ptr<Upload> upload;
    std::uint64_t bytes = 0;
  };
  Target& target_;
  const std::string path_; // of the file beside which they go
  const TemporaryName temporary_;
  std::vector<File> files_;
  const std::vector<std::string> suffixes_;
};

} // namespace checkvalve
