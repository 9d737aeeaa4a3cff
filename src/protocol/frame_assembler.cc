#include "protocol/frame_assembler.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace checkvalve {
namespace {

// A packet of up to this size gets its buffer at once; a longer one gets more as its bytes come, so that announcing
// a long one costs the peer its bytes.
constexpr std::size_t trusted_frame_bytes = 512 * 1024;

} // namespace

bool FrameAssembler::feed(std::span<const std::byte> bytes, std::vector<Chunk>& frames) {
  while (!broken_ && !bytes.empty()) {
    if (length_bytes_ < length_word_.size()) {
      const std::size_t taken = std::min(bytes.size(), length_word_.size() - length_bytes_);
      std::memcpy(length_word_.data() + length_bytes_, bytes.data(), taken);
      length_bytes_ += taken;
      bytes = bytes.subspan(taken);
      if (length_bytes_ < length_word_.size()) break;
      frame_bytes_ = 0;
      for (std::byte b : length_word_) frame_bytes_ = frame_bytes_ << 8 | static_cast<std::uint32_t>(b);
      if (frame_bytes_ == 0 || frame_bytes_ > max_frame_bytes) {
        broken_ = true;
        break;
      }
      filled_bytes_ = 0;
      frame_ = Chunk::allocate(std::min<std::size_t>(frame_bytes_, trusted_frame_bytes));
      continue;
    }
    const std::size_t taken = std::min<std::size_t>(bytes.size(), frame_bytes_ - filled_bytes_);
    append(bytes.first(taken));
    bytes = bytes.subspan(taken);
    if (filled_bytes_ == frame_bytes_) {
      frame_.narrow(0, frame_bytes_);
      frames.push_back(std::move(frame_));
      frame_ = {};
      length_bytes_ = 0;
    }
  }
  return !broken_;
}

void FrameAssembler::append(std::span<const std::byte> bytes) {
  if (filled_bytes_ + bytes.size() > frame_.size()) {
    const std::size_t doubled = std::max(frame_.size() * 2, filled_bytes_ + bytes.size());
    Chunk larger = Chunk::allocate(std::min<std::size_t>(doubled, frame_bytes_));
    std::memcpy(larger.data(), frame_.data(), filled_bytes_);
    frame_ = std::move(larger);
  }
  std::memcpy(frame_.data() + filled_bytes_, bytes.data(), bytes.size());
  filled_bytes_ += bytes.size();
}

std::string FrameAssembler::fault() const {
  return fmt::format("a packet of {} bytes; 1 to {} are allowed", frame_bytes_, max_frame_bytes);
}

} // namespace checkvalve
