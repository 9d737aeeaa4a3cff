// Outputs: the files that a chain makes of one: the file itself, its parts, and side files (checksums, rejected
// records). Each is an upload of its own. All of them wait under temporary names until the chain is through; then the
// others are published, and the file itself last: once it is there, all that belongs to it is.
//
// Each that waits holds a file open at the target, so at most Outputs::most_waiting do: of more, those that are
// complete are published as they come, still before the file itself.
//
// Engine thread only, one call at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/target.h"
#include "core/async.h"
#include "transforms/chain.h"

namespace checkvalve {

// What each of them passes before it gets its name.
struct OutputsFence {
  std::function<Result<void>()> open;
  // For those that are published while the source is still being read. Empty: there are none.
  std::function<Task<Result<void>>()> open_early;
};

class Outputs {
public:
  static constexpr std::size_t max_waiting = 32; // beside the file itself

  // `file`: the upload of output 0, published under `path`. `window_bytes`: written and not acknowledged, of all.
  // `options`: of the file; the others get no mode, and replace what an earlier run published.
  Outputs(Target& target, std::unique_ptr<Upload> file, std::string path, TemporaryName temporary,
          CommitOptions options, std::uint64_t window_bytes, OutputsFence fence);

  // Begins to write a piece; waits for room in the window. Errors of writes come with this or a later call.
  Task<Result<void>> write(ChainPiece piece);
  // Publishes all; the file's own outcome.
  Task<Result<Published>> commit(std::string content_digest);
  // Removes all that wait. Must be called unless commit succeeded.
  Task<Result<void>> abort();

  std::uint64_t file_bytes() const { return file_.bytes; } // of the file itself

private:
  struct Output {
    std::unique_ptr<Upload> upload;
    std::string path;
    std::size_t number = 0;
    std::size_t slot = 0; // distinguishes its temporary name from the others'
    std::uint64_t bytes = 0;
    bool complete = false;
    TaskGroup writes;
  };
  Task<Result<Output*>> find(ChainPiece& piece);
  Task<Result<void>> make_room();
  Task<void> write_chunk(Output& output, std::uint64_t offset, Chunk chunk);
  Task<void> publish(Output& output);
  Task<Result<void>> check_free();
  std::size_t free_slot() const;

  Target& target_;
  const TemporaryName temporary_;
  const CommitOptions options_;
  const std::uint64_t window_bytes_;
  const OutputsFence fence_;
  Output file_;
  std::vector<std::unique_ptr<Output>> others_; // in order of beginning
  std::uint64_t unacknowledged_bytes_ = 0;
  AutoResetEvent acknowledged_;
  std::optional<Error> failed_;
};

// Open files at the target that one file may have at once beside itself.
std::size_t max_outputs_beside(const Chain& chain);

// Removes what lost attempts at `path` left under these names, whatever of their outputs were waiting.
Task<void> discard_outputs(Target& target, const Chain& chain, std::string path, std::vector<TemporaryName> lost);

} // namespace checkvalve
