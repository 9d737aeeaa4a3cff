// TransformedUpload: an upload that takes the source's bytes and writes what a chain of transforms makes of them to
// another upload. The chain works on the worker pool, one step of a file at a time; the steps of several files run at
// the same time.
//
// Back-pressure: a write is acknowledged once the chain has taken its bytes, and the chain works only while fewer than
// `window_bytes` of its output are unacknowledged by the target.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "backends/target.h"
#include "core/async.h"
#include "core/hash.h"
#include "sync/side_files.h"
#include "transforms/chain.h"

namespace checkvalve {

class TransformedUpload : public Upload {
public:
  // `temporary`: of the file; side files get names made from it.
  TransformedUpload(const Chain& chain, FileContext file, std::unique_ptr<Upload> inner, TemporaryName temporary,
                    Target& target, ThreadPool& workers, std::uint64_t window_bytes);

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  // Lets the chain finish, then publishes the file and, after it, its side files. options.size_bytes is not looked at.
  Task<Result<Published>> commit(CommitOptions options) override;
  // Must be called unless commit succeeded.
  Task<Result<void>> abort() override;

  // What was published; after commit.
  std::uint64_t written_bytes() const { return written_bytes_; }
  std::string written_digest() const { return written_hasher_.digest(); }

private:
  struct Input {
    Chunk chunk;
    Event* taken;
  };
  struct Step { // what a worker brings back
    Result<ChainRun::State> state = ChainRun::State::wants_input;
    std::vector<Chunk> output;
    std::vector<std::string> sides;
  };
  Task<void> drive();
  Step work(std::vector<Chunk> input, bool last);
  Task<Result<void>> send(Step step);
  Task<void> write_output(std::uint64_t offset, Chunk chunk);
  void fail(Error error) {
    if (!failed_) failed_ = std::move(error);
  }

  const Chain& chain_;
  const FileContext file_;
  std::unique_ptr<Upload> inner_;
  SideFiles sides_;
  ThreadPool& workers_;
  const std::uint64_t window_bytes_;
  const std::size_t chunk_bytes_;

  std::deque<Input> input_;
  bool input_ended_ = false;
  bool driving_ = false;
  bool done_ = false;
  std::unique_ptr<ChainRun> run_; // used on a worker while a step is under way
  Hasher written_hasher_;         // likewise
  std::uint64_t written_bytes_ = 0;
  std::uint64_t unacknowledged_bytes_ = 0;
  Signal acknowledged_;
  std::optional<Error> failed_;
  TaskGroup tasks_;  // drive
  TaskGroup writes_; // of the output
};

} // namespace checkvalve
