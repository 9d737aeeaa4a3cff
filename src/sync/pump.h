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
};

// The beginning of a file: so many bytes, which the target has acknowledged, and the hash of what was read of them.
struct Prefix {
  std::uint64_t bytes = 0;
  Hasher hasher;
};

class Pump {
public:
  // `begun`: what is at the target already.
  Pump(Reader& reader, Upload& upload, PumpLimits limits, Prefix begun, Cancellation& cancellation)
      : reader_(reader), upload_(upload), limits_(limits), cancellation_(cancellation), hasher_(begun.hasher.copy()),
        asked_bytes_(begun.bytes), acknowledged_bytes_(begun.bytes) {
    marks_.push_back(std::move(begun));
  }

  // Called with the acknowledged bytes as they grow.
  void on_progress(std::function<void(std::uint64_t)> fn) { on_progress_ = std::move(fn); }
  // Called about once a mark_bytes with the prefix() as it grows.
  void on_prefix(std::function<void(const Prefix&)> fn) { on_prefix_ = std::move(fn); }
  // Returns when all bytes are acknowledged, or after a failure, in both cases with nothing left in flight. A file
  // that ends early is ErrorKind::changed.
  Task<Result<void>> run();
  // The source as it was after the last byte had been read.
  Result<Entry>& source_after() { return *source_after_; }
  // What another pump may continue, once this one has ended: at most about mark_bytes less than what was acknowledged.
  Prefix take_prefix() { return std::move(marks_.front()); }
  // Of the whole file.
  std::string digest() const { return hasher_.digest(); }

  static constexpr std::uint64_t mark_bytes = 1 << 20;

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
  void mark(std::uint64_t handed_over_bytes);
  void fail(Error error) {
    if (!failed_) failed_ = std::move(error);
  }

  Reader& reader_;
  Upload& upload_;
  const PumpLimits limits_;
  Cancellation& cancellation_;
  std::function<void(std::uint64_t)> on_progress_;
  std::function<void(const Prefix&)> on_prefix_;
  Hasher hasher_;               // of what was handed over
  std::deque<Prefix> marks_;    // from the last one that is acknowledged
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
