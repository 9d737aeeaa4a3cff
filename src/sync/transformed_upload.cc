#include "sync/transformed_upload.h"

#include <algorithm>

namespace checkvalve {
namespace {

constexpr std::size_t chunks_a_step = 4; // taken to a worker at once

} // namespace

TransformedUpload::TransformedUpload(const Chain& chain, FileContext file, std::unique_ptr<Upload> inner,
                                     TemporaryName temporary, Target& target, ThreadPool& workers,
                                     std::uint64_t window_bytes)
    : chain_(chain), file_(std::move(file)), inner_(std::move(inner)),
      sides_(target, file_.target_path, std::move(temporary), chain.side_suffixes()), workers_(workers),
      window_bytes_(window_bytes), chunk_bytes_(target.capabilities().chunk_bytes) {}

Task<Result<void>> TransformedUpload::write(std::uint64_t, Chunk chunk) {
  Event taken;
  input_.push_back({std::move(chunk), &taken});
  if (!std::exchange(driving_, true)) tasks_.start(drive());
  co_await taken;
  if (failed_) co_return Failure(*failed_);
  co_return Result<void>();
}

Task<Result<Published>> TransformedUpload::commit(CommitOptions options) {
  input_ended_ = true;
  if (!done_ && !failed_ && !std::exchange(driving_, true)) tasks_.start(drive());
  co_await tasks_.join();
  co_await writes_.join();
  if (failed_) co_return Failure(*failed_);
  options.size_bytes = written_bytes_;
  CV_CO_TRY(const Published published, co_await inner_->commit(options));
  CV_CO_CHECK(co_await sides_.commit(options));
  co_return published;
}

Task<Result<void>> TransformedUpload::abort() {
  fail(make_error(ErrorKind::interrupted, "write", "", "aborted"));
  co_await tasks_.join();
  co_await writes_.join();
  // Ending a program or removing a database takes a moment.
  co_await workers_.run([this] {
    run_.reset();
    return true;
  });
  co_await sides_.abort();
  co_return co_await inner_->abort();
}

// Runs while there is input to take, and to the end once there is no more to come.
Task<void> TransformedUpload::drive() {
  while (!failed_ && !done_ && (!input_.empty() || input_ended_)) {
    std::vector<Chunk> chunks;
    std::vector<Event*> taken;
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
    for (Event* event : taken) event->set();
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
  for (const Chunk& chunk : step.output) written_hasher_.update(chunk.bytes());
  for (std::size_t i = 0; i < sides_.count(); ++i) step.sides.push_back(run_->take_side(i));
  if (step.state && *step.state == ChainRun::State::done) run_.reset();
  return step;
}

Task<Result<void>> TransformedUpload::send(Step step) {
  for (Chunk& chunk : step.output) {
    const std::uint64_t offset = written_bytes_;
    written_bytes_ += chunk.size();
    unacknowledged_bytes_ += chunk.size();
    writes_.start(write_output(offset, std::move(chunk)));
  }
  for (std::size_t i = 0; i < step.sides.size(); ++i) CV_CO_CHECK(co_await sides_.write(i, std::move(step.sides[i])));
  while (!failed_ && unacknowledged_bytes_ > window_bytes_ && unacknowledged_bytes_ > chunk_bytes_)
    co_await acknowledged_.wait();
  co_return Result<void>();
}

Task<void> TransformedUpload::write_output(std::uint64_t offset, Chunk chunk) {
  const std::size_t size = chunk.size();
  if (auto written = co_await inner_->write(offset, std::move(chunk)); !written) fail(written.error());
  unacknowledged_bytes_ -= size;
  acknowledged_.notify();
}

} // namespace checkvalve
