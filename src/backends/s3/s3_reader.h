// Reading of one object, pinned to the version that was listed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backends/basic.h"
#include "backends/s3/checksum.h"
#include "backends/s3/s3_client.h"
#include "backends/source.h"

namespace checkvalve {

// Reads that follow each other come from one streamed GET a segment (8 MiB); as many segments are on their way as the
// reads under way touch. If-Match pins all to the entry's version: another one is ErrorKind::changed. The checksum that
// the server has of the whole object, if it has one, is verified when all of it was read: of an object of one segment,
// which comes without a range, and of segments, whose own checksums are put together. Otherwise a warning tells.
class S3Reader : public BasicReader {
public:
  S3Reader(std::shared_ptr<S3Client> client, Entry entry) : client_(std::move(client)), entry_(std::move(entry)) {}
  // Asks for the first segment, so that an object that is not there, or is another one now, fails here.
  Task<Result<void>> begin();
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override;
  Task<Result<Entry>> stat() override;

private:
  struct Segment {
    std::uint64_t begin = 0; // of the object
    std::uint64_t end = 0;
    std::uint64_t next = 0; // the first byte that was not read
    std::unique_ptr<HttpExchange> exchange;
    Chunk rest;                       // came, and was not asked for yet
    std::optional<Checksum> checksum; // of the bytes before `next`
    Semaphore turn{1};                // reads take their bytes in the order in which they were made
  };

  std::shared_ptr<Segment> segment_for(std::uint64_t offset, std::uint64_t end);
  Task<Result<void>> ask(Segment& segment);
  Task<Result<void>> check_head(Segment& segment, const HttpHead& head);
  Task<Result<Chunk>> take(Segment& segment, std::uint32_t size);
  Task<Result<Chunk>> read_alone(std::uint64_t offset, std::uint32_t size);
  Task<void> look_for_checksum();
  Result<void> verify_whole();
  void warn_of_no_checksum();
  S3Request request_for(std::uint64_t begin, std::uint64_t end) const;
  Error changed(std::string why) const;

  std::shared_ptr<S3Client> client_;
  const Entry entry_;
  std::deque<std::shared_ptr<Segment>> segments_;
  struct Whole {
    ChecksumKind kind;
    std::string expected; // as base64
  };
  std::optional<Whole> checksum_; // of the whole object
  struct Verified {
    std::uint64_t bytes = 0;
    Checksum checksum;
  };
  std::map<std::uint64_t, Verified> read_; // segments that were read, by their begin
  std::optional<Entry> whole_;             // as in the answer whose body was the whole object, once all of it was read
  std::optional<Entry> coming_whole_;      // while it is being read
};

} // namespace checkvalve
