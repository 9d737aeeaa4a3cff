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
#include "state/records.h"
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
  // Then next() gives the first record again.
  Result<void> rewind();

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

// What was pushed last is popped first. Beyond the memory the lower part lies in a temporary file, as of a Spool. Not
// thread-safe; blocks for file I/O of the memory's half at a time.
class SpilledStack {
public:
  explicit SpilledStack(std::size_t memory_bytes = 4 << 20) : half_bytes_(memory_bytes / 2) {}
  ~SpilledStack();
  SpilledStack(const SpilledStack&) = delete;
  SpilledStack& operator=(const SpilledStack&) = delete;

  Result<void> push(std::string_view bytes);
  bool empty() const { return count_ == 0; }
  Result<void> pop(std::string& bytes); // of one that is not empty

private:
  Result<void> spill();
  Result<void> load();

  const std::size_t half_bytes_;
  std::uint64_t count_ = 0;
  // Records, each behind it its length (4 bytes). `lower_` makes room at once, and is at hand when `upper_` is used up.
  std::string upper_;
  std::string lower_;
  int file_ = -1;
  std::vector<std::size_t> blocks_; // sizes of what was spilled, each behind the other
  std::uint64_t end_ = 0;           // of the last one
};

// A spool of records of one type (sync/record.h), under a key each.
template <class Record> class RecordSpool {
public:
  RecordSpool() = default;
  explicit RecordSpool(std::size_t memory_bytes) : spool_(memory_bytes) {}

  Result<void> add(std::string_view key, const Record& record) {
    pack_record(record, bytes_);
    return spool_.add(key, bytes_);
  }
  std::uint64_t count() const { return spool_.count(); }
  Result<void> finish() { return spool_.finish(); }
  Result<void> rewind() { return spool_.rewind(); }
  // The key lives until the next call.
  Result<bool> next(std::string_view& key, Record& record) {
    std::string_view bytes;
    CV_TRY(const bool more, spool_.next(key, bytes));
    if (!more) return false;
    unpack_record(bytes, record);
    return true;
  }

private:
  Spool spool_;
  std::string bytes_;
};

template <class Record> class RecordStack {
public:
  Result<void> push(const Record& record) {
    pack_record(record, bytes_);
    return stack_.push(bytes_);
  }
  bool empty() const { return stack_.empty(); }
  Result<void> pop(Record& record) {
    CV_CHECK(stack_.pop(bytes_));
    unpack_record(bytes_, record);
    return {};
  }

private:
  SpilledStack stack_;
  std::string bytes_;
};

// Without the path, which is, or ends, its record's key.
template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, Entry>
void fields(Archive& archive, Self& entry) {
  archive(entry.type, entry.size_bytes, entry.mtime_ns, entry.mode, entry.etag);
}

template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, Error>
void fields(Archive& archive, Self& error) {
  archive(error.kind, error.status, error.operation, error.path, error.message, error.code, error.hint, error.endpoint);
}

// Without the path, which is its record's key.
template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, FailureRecord>
void fields(Archive& archive, Self& failure) {
  archive(failure.batch, failure.error);
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
  // Then advance() moves to the first entry again.
  Result<void> rewind();
  const Entry* present() const { return at_end_ ? nullptr : &entry_; }

private:
  RecordSpool<Entry> spool_;
  Entry entry_;
  bool at_end_ = true;
};

} // namespace checkvalve
