// Spool: records sorted by key, however many: what does not fit the memory goes to sorted runs in temporary files
// (unlinked, in $TMPDIR), which are merged on reading. Not thread-safe; blocks for file I/O of some MiB at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/entry.h"
#include "core/result.h"

namespace checkvalve {

class Spool {
public:
  explicit Spool(std::size_t memory_bytes = 8 << 20);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Keys are compared as bytes and need not be unique; both sides of a record are at most 1 MiB.
  Result<void> add(std::string_view key, std::string_view payload);
  std::uint64_t count() const { return count_; }

  // Ends the adding. Then next() gives the records in order; false at the end. The views live until the next call.
  Result<void> finish();
  Result<bool> next(std::string_view& key, std::string_view& payload);

private:
  class Run;
  Result<void> spill();
  void sort();

  std::size_t memory_bytes_;
  std::uint64_t count_ = 0;
  std::string arena_;                // records: key length, payload length (4 bytes each), key, payload
  std::vector<std::size_t> offsets_; // of records in the arena
  std::size_t position_ = 0;         // next of offsets_ to read
  std::vector<std::unique_ptr<Run>> runs_;
  Run* last_ = nullptr; // gave the present record; advanced by the next call
};

// Entries as records: the key is the path.
std::string encode_entry(const Entry& entry); // without the path
Entry decode_entry(std::string_view path, std::string_view payload);

// A spool of entries in the order of their paths' bytes. A name that was added twice (a list of files names it twice, a
// directory was changed while it was read) is read once.
class EntrySpool {
public:
  Result<void> add(const Entry& entry) { return spool_.add(entry.path, encode_entry(entry)); }
  Result<void> finish() { return spool_.finish(); }
  std::uint64_t count() const { return spool_.count(); }
  // Moves to the next entry; present() is null at the end.
  Result<void> advance();
  const Entry* present() const { return at_end_ ? nullptr : &entry_; }

private:
  Spool spool_;
  Entry entry_;
  bool at_end_ = true;
};

} // namespace checkvalve
