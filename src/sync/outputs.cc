#include "sync/outputs.h"

#include <algorithm>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr int slot_shift = 48; // a plan has fewer than 2^48 files

// The temporary name of the output in this slot, from 0. It differs from those of all planned files.
TemporaryName in_slot(TemporaryName of_file, std::size_t slot) {
  of_file.file |= static_cast<std::uint64_t>(slot + 1) << slot_shift;
  return of_file;
}

Task<void> discard_one(Target& target, std::string path, TemporaryName temporary) {
  (void)co_await target.discard(std::move(path), std::move(temporary)); // a sweep finds it later
}

} // namespace

Outputs::Outputs(Target& target, std::unique_ptr<Upload> file, std::string path, TemporaryName temporary,
                 CommitOptions options, std::uint64_t window_bytes, OutputsFence fence)
    : target_(target), temporary_(std::move(temporary)), options_(options), window_bytes_(window_bytes),
      fence_(std::move(fence)) {
  file_.upload = std::move(file);
  file_.path = std::move(path);
}

Task<Result<void>> Outputs::write(ChainPiece piece) {
  CV_CO_TRY(Output * output, co_await find(piece));
  output->complete = piece.last;
  if (!piece.chunk.empty()) {
    const std::uint64_t offset = output->bytes;
    output->bytes += piece.chunk.size();
    unacknowledged_bytes_ += piece.chunk.size();
    output->writes.spawn(write_chunk(*output, offset, std::move(piece.chunk)));
  }
  // One chunk is always under way, however small the window.
  while (!failed_ && unacknowledged_bytes_ > window_bytes_ &&
         unacknowledged_bytes_ > target_.capabilities().chunk_bytes)
    co_await acknowledged_.wait();
  if (failed_) co_return Failure(*failed_);
  co_return Result<void>();
}

Task<Result<Outputs::Output*>> Outputs::find(ChainPiece& piece) {
  if (piece.output == 0) co_return &file_;
  for (const auto& output : others_)
    if (output->number == piece.output) co_return output.get();
  CV_CO_CHECK(co_await make_room());
  auto output = std::make_unique<Output>();
  output->number = piece.output;
  output->path = std::move(piece.path);
  output->slot = free_slot();
  UploadHints hints{in_slot(temporary_, output->slot), std::nullopt};
  hints.mtime_ns = options_.mtime_ns;
  hints.replaces = options_.replace != Replace::if_absent;
  CV_CO_TRY(output->upload, co_await target_.begin(output->path, std::move(hints)));
  co_return others_.emplace_back(std::move(output)).get();
}

// With as many waiting as may, publishes the oldest that is complete.
Task<Result<void>> Outputs::make_room() {
  if (others_.size() < max_waiting) co_return Result<void>();
  const auto complete = std::ranges::find_if(others_, [](const auto& output) { return output->complete; });
  if (complete == others_.end())
    co_return transform_failure("the chain has more files open at once than can wait: a bug");
  CV_CO_CHECK(co_await fence_.open_early());
  const std::size_t at = static_cast<std::size_t>(complete - others_.begin());
  co_await publish(*others_[at]);
  if (failed_) co_return Failure(*failed_);
  others_.erase(others_.begin() + static_cast<std::ptrdiff_t>(at));
  co_return Result<void>();
}

std::size_t Outputs::free_slot() const {
  std::size_t slot = 0;
  while (std::ranges::any_of(others_, [&](const auto& output) { return output->slot == slot; })) ++slot;
  return slot;
}

Task<void> Outputs::write_chunk(Output& output, std::uint64_t offset, Chunk chunk) {
  const std::size_t size = chunk.size();
  if (auto written = co_await output.upload->write(offset, std::move(chunk)); !written && !failed_)
    failed_ = std::move(written.error());
  unacknowledged_bytes_ -= size;
  acknowledged_.notify();
}

// A part or a side file. What a run before has left under its name is replaced: it belongs to the file.
Task<void> Outputs::publish(Output& output) {
  co_await output.writes.join();
  if (auto open = fence_.open(); !open && !failed_) failed_ = std::move(open.error());
  if (failed_) co_return;
  CommitOptions options = options_;
  options.size_bytes = output.bytes;
  options.mode.reset();
  if (options.replace == Replace::if_absent && target_.capabilities().atomic_replace) options.replace = Replace::atomic;
  auto published = co_await output.upload->commit(options);
  if (published)
    output.upload.reset();
  else if (!failed_)
    failed_ = std::move(published.error());
}

Task<Result<Published>> Outputs::commit(std::string content_digest) {
  co_await file_.writes.join();
  if (!failed_ && !others_.empty()) CV_CO_CHECK(co_await check_free());
  TaskGroup publishing;
  for (const auto& output : others_) publishing.spawn(publish(*output));
  co_await publishing.join();
  if (auto open = fence_.open(); !open && !failed_) failed_ = std::move(open.error());
  if (failed_) co_return Failure(*failed_);
  CommitOptions options = options_;
  options.size_bytes = file_.bytes;
  options.content_digest = std::move(content_digest);
  co_return co_await file_.upload->commit(options);
}

// Where the file itself must not replace another, neither may what belongs to it.
Task<Result<void>> Outputs::check_free() {
  if (options_.replace != Replace::if_absent) co_return Result<void>();
  auto there = co_await target_.stat(file_.path, false);
  if (there) co_return Failure(make_error(ErrorKind::exists, "publish", escape_bytes(file_.path), "exists"));
  if (there.error().kind != ErrorKind::not_found) co_return Failure(there.error());
  co_return Result<void>();
}

Task<Result<void>> Outputs::abort() {
  for (const auto& output : others_) {
    co_await output->writes.join();
    if (output->upload) (void)co_await output->upload->abort();
  }
  others_.clear();
  co_await file_.writes.join();
  co_return co_await file_.upload->abort();
}

std::size_t max_outputs_beside(const Chain& chain) {
  return chain.splits() ? Outputs::max_waiting : chain.side_suffixes().size();
}

Task<void> discard_outputs(Target& target, const Chain& chain, std::string path, std::vector<TemporaryName> lost) {
  TaskGroup discarding;
  for (const TemporaryName& temporary : lost) {
    discarding.spawn(discard_one(target, path, temporary));
    for (std::size_t slot = 0; slot < max_outputs_beside(chain); ++slot)
      discarding.spawn(discard_one(target, path, in_slot(temporary, slot)));
  }
  co_await discarding.join();
}

} // namespace checkvalve
