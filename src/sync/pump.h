// Pump: moves the bytes of one file from a reader to an upload, with many reads and writes in flight within a window.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "core/cancellation.h"
#include "core/hash.h"

namespace checkvalve {

struct PumpLimits {
  std::uint64_t size_bytes = 0;   // of the file, as planned
  std::uint64_t window_bytes = 0; // read or being written, not yet acknowledged
  std::uint32_t chunk_bytes = 0;
  std::uint64_t resumed_bytes = 0;            // that are at the target already
  HashAlgorithm hash = HashAlgorithm::xxh128; // of digest()
};

class Pump {
public:
  Pump(Reader& reader, Upload& upload, PumpLimits limits, Cancellation& cancellation)
      : reader_(reader), upload_(upload), limits_(limits), cancellation_(cancellation), hasher_(limits.hash),
        asked_bytes_(limits.resumed_bytes), acknowledged_bytes_(limits.resumed_bytes) {}

  // Called with the acknowledged bytes as they grow.
  void on_progress(std::function<void(std::uint64_t)> fn) { on_progress_ = std::move(fn); }
  // Returns when all bytes are acknowledged, or after a failure, in both cases with nothing left in flight. A file
  // that ends early is ErrorKind::changed.
  Task<Result<void>> run();
  // The source as it was after the last byte had been read.
  Result<Entry>& source_after() { return *source_after_; }
  std::uint64_t acknowledged_bytes() const { return acknowledged_bytes_; } // from the file's beginning
  // Of the bytes that were moved.
  std::string digest() const { return hasher_.digest(); }

private:
  struct Piece {
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    std::optional<Result<Chunk>> chunk;
    std::optional<Result<void>> written;
  };
  Task<void> read(Piece& piece);
  Task<void> write(Piece& piece, Chunk chunk);
  Task<void> look_again();
  void ask_for_more();
  void hand_over();
  void acknowledge();
  void fail(Error error) {
    if (!failed_) failed_ = std::move(error);
  }

  Reader& reader_;
  Upload& upload_;
  const PumpLimits limits_;
  Cancellation& cancellation_;
  std::function<void(std::uint64_t)> on_progress_;
  Hasher hasher_;
  std::deque<Piece> pieces_;    // from the first one that is not acknowledged
  std::size_t handed_over_ = 0; // of pieces_, that are being written
  std::uint64_t asked_bytes_;
  std::uint64_t acknowledged_bytes_;
  std::optional<Result<Entry>> source_after_;
  std::optional<Error> failed_;
  AutoResetEvent changed_;
  TaskGroup tasks_;
};

} // namespace checkvalve
