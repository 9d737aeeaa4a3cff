// TransformedUpload: an upload that takes the source's bytes and writes what a chain of transforms makes of them to the
// target: the file, and whatever parts and side files the chain makes beside it. The chain works on the worker pool,
// one step of a file at a time; the steps of several files run at the same time.
//
// Back-pressure: a write is acknowledged once the chain has taken its bytes, and the chain works only while fewer than
// the outputs' window has room.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "backends/basic.h"
#include "core/async.h"
#include "core/hash.h"
#include "sync/outputs.h"
#include "transforms/chain.h"

namespace checkvalve {

class TransformedUpload : public BasicUpload {
public:
  TransformedUpload(const Chain& chain, FileContext file, std::unique_ptr<Outputs> outputs, ThreadPool& workers,
                    std::size_t chunk_bytes, HashAlgorithm hash);

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  // After the last write: lets the chain finish.
  Task<Result<void>> finish();
  // After finish(): publishes what the chain has made (Outputs::commit).
  Task<Result<Published>> commit(CommitOptions options) override;
  // Must be called unless commit succeeded.
  Task<Result<void>> abort() override;

  // What was written; after finish(). The digest is of the algorithm `hash`.
  std::uint64_t written_bytes() const { return outputs_->file_bytes(); }
  std::string written_digest() const { return written_hasher_.digest(); }
  std::uint64_t parts() const { return parts_; }
  const std::string& checksum() const { return checksum_; } // for Chain::checksum_list()

private:
  struct Input {
    Chunk chunk;
    OneShotEvent* taken;
  };
  struct Step { // what a worker brings back
    Result<ChainRun::State> state = ChainRun::State::wants_input;
    std::vector<ChainPiece> output;
  };
  Task<void> drive();
  Step work(std::vector<Chunk> input, bool last);
  Task<Result<void>> send(Step step);
  void fail(Error error) {
    if (!failed_) failed_ = std::move(error);
  }

  const Chain& chain_;
  const FileContext file_;
  std::unique_ptr<Outputs> outputs_;
  ThreadPool& workers_;
  const std::size_t chunk_bytes_;

  std::deque<Input> input_;
  bool input_ended_ = false;
  bool driving_ = false;
  bool done_ = false;
  std::unique_ptr<ChainRun> run_; // used on a worker while a step is under way
  Hasher written_hasher_;         // likewise
  std::uint64_t parts_ = 1;       // likewise
  std::string checksum_;          // likewise
  std::optional<Error> failed_;
  TaskGroup tasks_; // drive
};

} // namespace checkvalve
