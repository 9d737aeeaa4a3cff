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
#include "sync/record.h"

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

// A spool of records of one type (sync/record.h), under a key each.
template <class Record> class RecordSpool {
public:
  Result<void> add(std::string_view key, const Record& record) {
    RecordSizer measure;
    measure(record);
    bytes_.resize(measure.size());
    RecordPacker pack(bytes_.data());
    pack(record);
    return spool_.add(key, bytes_);
  }
  std::uint64_t count() const { return spool_.count(); }
  Result<void> finish() { return spool_.finish(); }
  // The key lives until the next call.
  Result<bool> next(std::string_view& key, Record& record) {
    std::string_view bytes;
    CV_TRY(const bool more, spool_.next(key, bytes));
    if (!more) return false;
    RecordUnpacker unpack(bytes);
    unpack(record);
    return true;
  }

private:
  Spool spool_;
  std::string bytes_;
};

// Without the path, which is, or ends, its record's key.
template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, Entry>
void fields(Archive& archive, Self& entry) {
  archive(entry.type, entry.size_bytes, entry.mtime_ns, entry.mode, entry.etag);
}

// A spool of entries in the order of their paths' bytes. A name that was added twice (a list of files names it twice, a
// directory was changed while it was read) is read once.
class EntrySpool {
public:
  Result<void> add(const Entry& entry) { return spool_.add(entry.path, entry); }
  Result<void> finish() { return spool_.finish(); }
  std::uint64_t count() const { return spool_.count(); }
  // Moves to the next entry; present() is null at the end.
  Result<void> advance();
  const Entry* present() const { return at_end_ ? nullptr : &entry_; }

private:
  RecordSpool<Entry> spool_;
  Entry entry_;
  bool at_end_ = true;
};

} // namespace checkvalve
