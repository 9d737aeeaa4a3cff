#include "transforms/emit.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace checkvalve {
namespace {

constexpr std::size_t copied_rather = 4096; // smaller chunks are gathered: each costs a write at the target

} // namespace

void Emit::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> free = room();
    const std::size_t n = std::min(free.size(), bytes.size());
    std::memcpy(free.data(), bytes.data(), n);
    advance(n);
    bytes = bytes.subspan(n);
  }
}

void Emit::pass(Chunk chunk) {
  if (chunk.size() < copied_rather || chunk.size() > chunk_bytes_) return write(chunk.bytes());
  seal();
  queued_bytes_ += chunk.size();
  emitted_bytes_ += chunk.size();
  ready_.push_back(std::move(chunk));
}

std::span<std::byte> Emit::room() {
  if (gathered_.empty()) gathered_ = Chunk::allocate(chunk_bytes_);
  return gathered_.writable().subspan(filled_);
}

void Emit::advance(std::size_t filled) {
  filled_ += filled;
  queued_bytes_ += filled;
  emitted_bytes_ += filled;
  if (filled_ == gathered_.size()) seal();
}

void Emit::seal() {
  if (filled_ == 0) return;
  if (filled_ < gathered_.size() / 2) { // many small parts must not each hold a large buffer
    ready_.push_back(Chunk::copy_of(gathered_.bytes().first(filled_)));
  } else {
    gathered_.narrow(0, filled_);
    ready_.push_back(std::move(gathered_));
    gathered_ = Chunk();
  }
  filled_ = 0;
}

void Emit::end_part() {
  seal();
  part_ends_.push_back(emitted_bytes_);
}

void Emit::side(std::size_t number, std::string_view text) {
  if (sides_.size() <= number) sides_.resize(number + 1);
  sides_[number] += text;
}

Chunk Emit::take(bool flush) {
  if (part_ended()) return {};
  if (ready_.empty() && flush) seal();
  if (ready_.empty()) return {};
  Chunk chunk = std::move(ready_.front());
  ready_.pop_front();
  queued_bytes_ -= chunk.size();
  return chunk;
}

std::string Emit::take_side(std::size_t number) {
  return number < sides_.size() ? std::exchange(sides_[number], {}) : std::string();
}

std::size_t Emit::side_bytes() const {
  std::size_t bytes = 0;
  for (const std::string& side : sides_) bytes += side.size();
  return bytes;
}

} // namespace checkvalve
