#include "sync/transformed_upload.h"

#include <algorithm>

namespace checkvalve {
namespace {

constexpr std::size_t chunks_a_step = 4; // taken to a worker at once

} // namespace

TransformedUpload::TransformedUpload(const Chain& chain, FileContext file, std::unique_ptr<Outputs> outputs,
                                     ThreadPool& workers, std::size_t chunk_bytes, HashAlgorithm hash)
    : chain_(chain), file_(std::move(file)), outputs_(std::move(outputs)), workers_(workers), chunk_bytes_(chunk_bytes),
      written_hasher_(hash) {}

Task<Result<void>> TransformedUpload::write(std::uint64_t, Chunk chunk) {
  OneShotEvent taken;
  input_.push_back({std::move(chunk), &taken});
  if (!std::exchange(driving_, true)) tasks_.spawn(drive());
  co_await taken;
  if (failed_) co_return Failure(*failed_);
  co_return Result<void>();
}

Task<Result<void>> TransformedUpload::finish() {
  input_ended_ = true;
  if (!done_ && !failed_ && !std::exchange(driving_, true)) tasks_.spawn(drive());
  co_await tasks_.join();
  if (failed_) co_return Failure(*failed_);
  co_return Result<void>();
}

Task<Result<Published>> TransformedUpload::commit(CommitOptions options) {
  return outputs_->commit(std::move(options.content_digest));
}

Task<Result<void>> TransformedUpload::abort() {
  fail(make_error(ErrorKind::interrupted, "write", "", "aborted"));
  co_await tasks_.join();
  // Ending a program or removing a database takes a moment.
  co_await workers_.run([this] {
    run_.reset();
    return true;
  });
  co_return co_await outputs_->abort();
}

// Runs while there is input to take, and to the end once there is no more to come.
Task<void> TransformedUpload::drive() {
  while (!failed_ && !done_ && (!input_.empty() || input_ended_)) {
    std::vector<Chunk> chunks;
    std::vector<OneShotEvent*> taken;
    while (!input_.empty() && chunks.size() < chunks_a_step) {
      chunks.push_back(std::move(input_.front().chunk));
      taken.push_back(input_.front().taken);
      input_.pop_front();
    }
    auto state = ChainRun::State::output_full;
    while (!failed_ && state == ChainRun::State::output_full) {
      const bool last = input_ended_ && input_.empty();
      Step step = co_await workers_.run([&] { return work(std::exchange(chunks, {}), last); });
      if (step.state)
        state = *step.state;
      else
        fail(step.state.error());
      if (auto sent = co_await send(std::move(step)); !sent) fail(sent.error());
    }
    done_ = state == ChainRun::State::done;
    for (OneShotEvent* event : taken) event->set();
  }
  if (failed_)
    for (const Input& input : std::exchange(input_, {})) input.taken->set();
  driving_ = false;
}

// On a worker.
TransformedUpload::Step TransformedUpload::work(std::vector<Chunk> input, bool last) {
  Step step;
  if (!run_) {
    auto started = chain_.start(file_, chunk_bytes_);
    if (!started) {
      step.state = Failure(started.error());
      return step;
    }
    run_ = std::move(*started);
  }
  for (Chunk& chunk : input) run_->feed(std::move(chunk));
  if (last) run_->end_input();
  step.state = run_->work();
  step.output = run_->take_output();
  parts_ = run_->parts();
  for (const ChainPiece& piece : step.output)
    if (piece.output == 0) written_hasher_.update(piece.chunk.bytes());
  if (step.state && *step.state == ChainRun::State::done) {
    checksum_ = run_->checksum();
    run_.reset();
  }
  return step;
}

Task<Result<void>> TransformedUpload::send(Step step) {
  for (ChainPiece& piece : step.output) CV_CO_CHECK(co_await outputs_->write(std::move(piece)));
  co_return Result<void>();
}

} // namespace checkvalve
