#include "sync/pump.h"

#include <algorithm>

namespace checkvalve {

Task<Result<void>> Pump::run() {
  bool looked = false;
  while (!failed_) {
    if (cancellation_.requested()) fail(cancellation_.reason());
    ask_for_more();
    hand_over();
    acknowledge();
    const bool all_read = asked_bytes_ == limits_.size_bytes && handed_over_ == pieces_.size();
    if (all_read && !looked && !failed_) {
      looked = true;
      tasks_.spawn(look_again());
    }
    if (failed_ || (looked && pieces_.empty() && source_after_)) break;
    co_await changed_.wait();
  }
  co_await tasks_.join();
  if (failed_) co_return Failure(*failed_);
  co_return Result<void>();
}

void Pump::ask_for_more() {
  while (!failed_ && asked_bytes_ < limits_.size_bytes) {
    const std::uint64_t left = limits_.size_bytes - asked_bytes_;
    const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, limits_.chunk_bytes));
    const std::uint64_t in_flight = asked_bytes_ - acknowledged_bytes_;
    if (in_flight != 0 && in_flight + size > limits_.window_bytes) return;
    Piece& piece = pieces_.emplace_back();
    piece.offset = asked_bytes_;
    piece.size = size;
    asked_bytes_ += size;
    tasks_.spawn(read(piece));
  }
}

// Writes go out in the order of the file, whatever the order of the answers.
void Pump::hand_over() {
  while (!failed_ && handed_over_ < pieces_.size() && pieces_[handed_over_].chunk) {
    Piece& piece = pieces_[handed_over_++];
    if (!*piece.chunk) return fail(piece.chunk->error());
    Chunk chunk = std::move(**piece.chunk);
    if (chunk.size() != piece.size)
      return fail(make_error(ErrorKind::changed, "read", "", "the file became shorter while it was read"));
    hasher_.update(chunk.bytes());
    mark(piece.offset + piece.size);
    tasks_.spawn(write(piece, std::move(chunk)));
  }
}

void Pump::acknowledge() {
  bool any = false;
  while (!failed_ && !pieces_.empty() && pieces_.front().written) {
    if (!*pieces_.front().written) return fail(pieces_.front().written->error());
    acknowledged_bytes_ += pieces_.front().size;
    pieces_.pop_front();
    --handed_over_;
    any = true;
  }
  if (any && on_progress_) on_progress_(acknowledged_bytes_);
  const std::uint64_t marked_bytes = marks_.front().bytes;
  while (marks_.size() > 1 && marks_[1].bytes <= acknowledged_bytes_) marks_.pop_front();
  if (on_prefix_ && marks_.front().bytes != marked_bytes) on_prefix_(marks_.front());
  if (any) ask_for_more();
}

// The hash runs ahead of the acknowledgements: it is kept as it was at some places, for the last acknowledged of these.
void Pump::mark(std::uint64_t handed_over_bytes) {
  if (handed_over_bytes == limits_.size_bytes || handed_over_bytes >= marks_.back().bytes + mark_bytes)
    marks_.push_back({handed_over_bytes, hasher_.copy()});
}

Task<void> Pump::read(Piece& piece) {
  piece.chunk = co_await reader_.read(piece.offset, piece.size);
  changed_.notify();
}

Task<void> Pump::write(Piece& piece, Chunk chunk) {
  piece.written = co_await upload_.write(piece.offset, std::move(chunk));
  changed_.notify();
}

Task<void> Pump::look_again() {
  source_after_ = co_await reader_.stat();
  changed_.notify();
}

} // namespace checkvalve
