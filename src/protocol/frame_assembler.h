// Cuts a stream of bytes into SFTP packets: a 32-bit length and as many bytes (draft-ietf-secsh-filexfer-02, section
// 3). Each packet becomes one Chunk, without its length word, so that the payload of a DATA reply is never copied
// again.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/chunk.h"

namespace checkvalve {

// What the largest read that is asked for makes, with its header. No server needs as much for the names of one READDIR
// reply; more is a peer that wants our memory.
inline constexpr std::uint32_t max_frame_bytes = 1024 * 1024 + 64;

// Not thread-safe.
class FrameAssembler {
public:
  // Appends the packets that the bytes complete to `frames`. False if a length is 0 or over the bound: the stream can't
  // be read on, and every later call returns false too.
  bool feed(std::span<const std::byte> bytes, std::vector<Chunk>& frames);
  // What was wrong, for a message: "a packet of 4294967295 bytes".
  std::string fault() const;

private:
  void append(std::span<const std::byte> bytes);

  std::array<std::byte, 4> length_word_{};
  std::size_t length_bytes_ = 0;  // of length_word_ that have come
  std::uint32_t frame_bytes_ = 0; // of the packet under way
  std::size_t filled_bytes_ = 0;  // of it that have come
  Chunk frame_;                   // holds filled_bytes_; grows as bytes come
  bool broken_ = false;
};

} // namespace checkvalve
