// RangedReader: a Reader of an object of any store by requests for ranges, pinned to one version.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backends/basic.h"
#include "backends/object_store/checksum.h"
#include "backends/object_store/request_pacer.h"
#include "protocol/http/http_client.h"

namespace checkvalve {

// The checksum that a store keeps of a whole object.
struct WholeChecksum {
  ChecksumKind kind = ChecksumKind::crc32c;
  std::string base64;
};

// The answer to a request for a range: its body is read from `exchange`.
struct RangeAnswer {
  Semaphore::Permit connection; // one of the endpoint's, held as long as the body is read
  std::unique_ptr<HttpExchange> exchange;
  Entry entry; // the object as the answer describes it; size_bytes: of the answer's body
  std::optional<WholeChecksum> checksum;
};

// The calls that RangedReader needs of a store. Engine thread only.
class RangeSource {
public:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool waits = true; // for one of the endpoint's connections
  };
  virtual ~RangeSource() = default;
  // Asks for bytes of exactly the version that entry.etag names; another one is ErrorKind::changed. A request
  // that the service refuses for now is retried; a body that breaks off is the reader's to resume.
  virtual Task<Result<RangeAnswer>> open_range(Entry entry, Range range) = 0;
  // The checksum of this version of the whole object; nothing if the store has none, or the request fails.
  virtual Task<std::optional<WholeChecksum>> whole_checksum(Entry entry) = 0;
  virtual Task<Result<Entry>> look_at(std::string path) = 0;
  virtual bool verifies() const = 0; // whether whole_checksum() is worth a request
  virtual void warn_of_no_checksum() = 0;
  virtual Retries retries() = 0; // of one range
  virtual Task<void> sleep(std::chrono::milliseconds duration) = 0;
};

// Consecutive reads are served from one streamed request for each segment of 8 MiB; the segments that reads under way
// touch are requested concurrently. A segment that breaks off is requested again from the byte where it did. Once all
// of the object was read, the checksums of the segments are combined and compared with the store's checksum of the
// whole object; where it has none, a warning says so.
class RangedReader : public BasicReader {
public:
  RangedReader(std::shared_ptr<RangeSource> source, Entry entry)
      : source_(std::move(source)), entry_(std::move(entry)) {}
  // Asks for the first segment, so that an object that does not exist, or has another version, fails here.
  Task<Result<void>> begin();
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override;
  Task<Result<Entry>> stat() override;

private:
  struct Segment {
    std::uint64_t begin = 0; // of the object
    std::uint64_t end = 0;
    std::uint64_t next = 0;     // the first byte that was not read
    std::uint64_t received = 0; // the first byte that was not received
    bool waits = true;
    std::optional<RangeAnswer> answer;
    Chunk rest;                       // received and not read yet
    std::optional<Checksum> checksum; // of the bytes before `next`
    std::optional<Error> failed;      // of all further reads
    Semaphore turn{1};                // reads take their bytes in the order in which they were made
  };

  std::shared_ptr<Segment> segment_for(std::uint64_t offset);
  Task<Result<Chunk>> read_from(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint32_t size);
  Task<Result<void>> ask(Segment& segment);
  Task<Result<Chunk>> receive(Segment& segment);
  Result<void> check(Segment& segment, RangeAnswer& answer);
  Task<Result<Chunk>> take(Segment& segment, std::uint32_t size);
  Task<Result<void>> finish(Segment& segment);
  Task<Result<Chunk>> read_alone(std::uint64_t offset, std::uint32_t size);
  Result<void> verify_whole();
  Error changed(std::string why) const;

  const std::shared_ptr<RangeSource> source_;
  Entry entry_; // its etag is that of the first answer where the listing had none
  std::deque<std::shared_ptr<Segment>> segments_;
  std::optional<WholeChecksum> checksum_;
  struct Verified {
    std::uint64_t bytes = 0;
    Checksum checksum;
  };
  std::map<std::uint64_t, Verified> read_; // segments that were read, by their begin
  std::optional<Entry> whole_;  // as described by the answer whose body was the whole object, once all of it was read
  std::optional<Entry> coming_; // while it is being read
};

} // namespace checkvalve
