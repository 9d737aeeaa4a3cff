// Emit: where a stage puts its output. Small pieces are gathered into chunks of `chunk_bytes`; what is ready is taken
// out in order by the next stage or by the transfer. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace checkvalve {

class Emit {
public:
  static constexpr std::size_t default_chunk_bytes = 128 * 1024;
  explicit Emit(std::size_t chunk_bytes = default_chunk_bytes) : chunk_bytes_(chunk_bytes) {}

  // Stop emitting and return: no room is left until the runner has drained it.
  bool full() const { return queued_bytes_ >= 2 * chunk_bytes_ || side_bytes() >= 2 * chunk_bytes_; }

  // Copies.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void write(char c) { write(std::string_view(&c, 1)); }
  // Passes a chunk on; copies only what is larger than chunk_bytes, or small beside what was gathered before.
  void pass(Chunk chunk);
  // Room to write into directly: the caller fills a front part and says how much with advance(). At least one byte.
  std::span<std::byte> room();
  void advance(std::size_t filled);

  // Ends a part (Transform::splits): what is emitted from now on belongs to the next one.
  void end_part();

  // Bytes for a side file, by its number in Transform::side_suffixes().
  void side(std::size_t number, std::string_view text);

  // The file's digest for Transform::checksum_list(), "sha256:" and hexadecimal digits.
  void checksum(std::string digest) { checksum_ = std::move(digest); }

  // For the taker. The next chunk of the part, in order; empty if there is none. `flush`: also one that is still being
  // gathered.
  Chunk take(bool flush);
  // All of the part was taken, and another follows, which begin_part() makes the one that is taken from.
  bool part_ended() const { return !part_ends_.empty() && part_ends_.front() == emitted_bytes_ - queued_bytes_; }
  void begin_part() { part_ends_.pop_front(); }
  bool more_parts() const { return !part_ends_.empty(); }
  bool empty() const { return queued_bytes_ == 0; }
  std::uint64_t emitted_bytes() const { return emitted_bytes_; } // ever
  // What was written for a side file since it was last taken.
  std::string take_side(std::size_t number);
  std::size_t sides() const { return sides_.size(); }
  const std::string& checksum() const { return checksum_; } // empty: none was given

private:
  std::size_t side_bytes() const;
  void seal(); // ends the gathering of the last chunk

  const std::size_t chunk_bytes_;
  std::deque<Chunk> ready_;
  Chunk gathered_;         // its view is the whole buffer
  std::size_t filled_ = 0; // bytes of gathered_
  std::size_t queued_bytes_ = 0;
  std::uint64_t emitted_bytes_ = 0;
  std::deque<std::uint64_t> part_ends_; // in bytes emitted; of parts that are not taken yet
  std::vector<std::string> sides_;
  std::string checksum_;
};

} // namespace checkvalve
