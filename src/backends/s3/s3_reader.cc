#include "backends/s3/s3_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "backends/s3/s3_listing.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t segment_bytes = 8 << 20;

// The checksum of the whole object, where the answer has one that is not a checksum of checksums ("composite").
std::optional<std::pair<ChecksumKind, std::string>> checksum_of(const HttpHead& head) {
  if (head.header("x-amz-checksum-type") == "COMPOSITE") return std::nullopt;
  const std::pair<const char*, ChecksumKind> known[] = {{"x-amz-checksum-crc64nvme", ChecksumKind::crc64nvme},
                                                        {"x-amz-checksum-crc32c", ChecksumKind::crc32c},
                                                        {"x-amz-checksum-crc32", ChecksumKind::crc32}};
  for (const auto& [name, kind] : known) {
    const std::string_view value = head.header(name);
    // "…-3": of three parts' checksums.
    if (!value.empty() && value.find('-') == value.npos) return std::pair(kind, std::string(value));
  }
  return std::nullopt;
}

} // namespace

Error S3Reader::changed(std::string why) const {
  return make_error(ErrorKind::changed, "read", escape_bytes(entry_.path), std::move(why));
}

S3Request S3Reader::request_for(std::uint64_t begin, std::uint64_t end) const {
  S3Request request;
  request.operation = "read";
  request.key = client_->key_of(entry_.path);
  if (!entry_.etag.empty()) request.headers.emplace_back("if-match", "\"" + entry_.etag + "\"");
  if (begin != 0 || end != entry_.size_bytes)
    request.headers.emplace_back("range", fmt::format("bytes={}-{}", begin, end - 1));
  else if (client_->settings().checksums)
    request.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  request.expected_bytes = end - begin;
  return request;
}

// The segment whose next byte this is or will be, once the reads before it are served; a new one where there is none.
std::shared_ptr<S3Reader::Segment> S3Reader::segment_for(std::uint64_t offset, std::uint64_t end) {
  while (!segments_.empty() && segments_.front()->next == segments_.front()->end) segments_.pop_front();
  for (const auto& segment : segments_)
    if (segment->begin <= offset && end <= segment->end) return segment;
  auto segment = std::make_shared<Segment>();
  segment->begin = segment->next = offset;
  segment->end = std::min(std::max(offset + segment_bytes, end), entry_.size_bytes);
  if (checksum_) segment->checksum.emplace(checksum_->kind);
  segments_.push_back(segment);
  return segment;
}

Task<Result<void>> S3Reader::check_head(Segment& segment, const HttpHead& head) {
  const bool all = segment.begin == 0 && segment.end == entry_.size_bytes;
  // rclone 1.75 sends 200 with a range that it honours, and says so.
  const bool in_range =
      head.status == 206 ||
      head.header("content-range").starts_with(fmt::format("bytes {}-{}/", segment.begin, segment.end - 1));
  if (!all && !in_range)
    co_return Failure(make_error(ErrorKind::protocol, "read", escape_bytes(entry_.path),
                                 "the server ignores the range of bytes that it was asked for"));
  const Entry answered = entry_of(entry_.path, head);
  if (answered.size_bytes != segment.end - segment.begin)
    co_return Failure(changed("has another size than when it was listed"));
  if (!all) co_return Result<void>();
  if (auto checksum = checksum_of(head); checksum && client_->settings().checksums) {
    segment.checksum.emplace(checksum->first);
    checksum_ = Whole{checksum->first, std::move(checksum->second)};
  } else {
    warn_of_no_checksum();
  }
  coming_whole_ = answered;
  co_return Result<void>();
}

Task<Result<void>> S3Reader::ask(Segment& segment) {
  const S3Request request = request_for(segment.begin, segment.end);
  CV_CO_TRY(segment.exchange, co_await client_->open(request));
  CV_CO_TRY(const HttpHead head, co_await client_->answer(*segment.exchange, request));
  co_return co_await check_head(segment, head);
}

// The answers to ranges tell no checksum of the whole.
Task<void> S3Reader::look_for_checksum() {
  S3Request look;
  look.operation = "look at";
  look.method = "HEAD";
  look.key = client_->key_of(entry_.path);
  look.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  const auto answer = co_await client_->call(std::move(look));
  if (!answer || unquoted_etag(answer->head) != entry_.etag) co_return; // what is wrong, reading tells
  if (auto checksum = checksum_of(answer->head))
    checksum_ = Whole{checksum->first, std::move(checksum->second)};
  else
    warn_of_no_checksum();
}

void S3Reader::warn_of_no_checksum() {
  if (!client_->settings().checksums || entry_.size_bytes == 0) return;
  client_->warn_once("the service has no checksums of the whole content of some objects: what is read of them is only "
                     "known to be complete");
}

// Does nothing until all of the object was read.
Result<void> S3Reader::verify_whole() {
  std::uint64_t bytes = 0;
  Checksum whole(checksum_->kind);
  for (const auto& [begin, part] : read_) {
    if (begin != bytes) return {};
    whole.append(part.checksum, part.bytes);
    bytes += part.bytes;
  }
  if (bytes != entry_.size_bytes || whole.base64() == checksum_->expected) return {};
  return Failure(make_error(ErrorKind::integrity, "read", escape_bytes(entry_.path),
                            "the content that came does not match the checksum that the service keeps of it"));
}

Task<Result<void>> S3Reader::begin() {
  const std::shared_ptr<Segment> first = segment_for(0, 0);
  const bool in_ranges = first->end < entry_.size_bytes && client_->settings().checksums;
  auto asked = spawn(ask(*first));
  if (in_ranges) co_await look_for_checksum();
  CV_CO_CHECK(co_await asked.get());
  if (in_ranges && checksum_) first->checksum.emplace(checksum_->kind);
  if (entry_.size_bytes == 0) {
    CV_CO_TRY(const Chunk end, co_await first->exchange->read());
    if (!end.empty()) co_return Failure(changed("is longer than when it was listed"));
    whole_ = coming_whole_;
  }
  co_return Result<void>();
}

Task<Result<Chunk>> S3Reader::take(Segment& segment, std::uint32_t size) {
  if (!segment.exchange) CV_CO_CHECK(co_await ask(segment));
  Chunk out;
  std::size_t filled = 0;
  while (filled < size) {
    if (segment.rest.empty()) {
      CV_CO_TRY(segment.rest, co_await segment.exchange->read());
      if (segment.rest.empty())
        co_return Failure(
            make_error(ErrorKind::connection, "read", escape_bytes(entry_.path), "the object's content broke off"));
    }
    if (filled == 0 && segment.rest.size() == size) { // the usual case: no copy
      out = std::move(segment.rest);
      segment.rest = Chunk();
      break;
    }
    if (filled == 0) out = Chunk::allocate(size);
    const std::size_t piece = std::min<std::size_t>(size - filled, segment.rest.size());
    std::memcpy(out.data() + filled, segment.rest.data(), piece);
    segment.rest.narrow(piece, segment.rest.size() - piece);
    filled += piece;
  }
  segment.next += size;
  if (segment.checksum) {
    segment.checksum->update(out.bytes());
    if (segment.next == segment.end) {
      read_.insert_or_assign(segment.begin, Verified{segment.end - segment.begin, *segment.checksum});
      CV_CO_CHECK(verify_whole());
    }
  }
  if (segment.next == segment.end) { // lets the connection go back to be used again
    CV_CO_TRY(const Chunk end, co_await segment.exchange->read());
    if (!end.empty()) co_return Failure(changed("is longer than when it was listed"));
    if (segment.begin == 0) whole_ = coming_whole_;
  }
  co_return out;
}

// A read out of order.
Task<Result<Chunk>> S3Reader::read_alone(std::uint64_t offset, std::uint32_t size) {
  Segment segment;
  segment.begin = segment.next = offset;
  segment.end = offset + size;
  co_return co_await take(segment, size);
}

Task<Result<Chunk>> S3Reader::read(std::uint64_t offset, std::uint32_t size) {
  if (offset >= entry_.size_bytes || size == 0) co_return Chunk();
  size = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, entry_.size_bytes - offset));
  const std::shared_ptr<Segment> segment = segment_for(offset, offset + size);
  auto turn = co_await segment->turn.acquire();
  Result<Chunk> chunk = Chunk();
  if (segment->next == offset) {
    chunk = co_await take(*segment, size);
    if (!chunk) std::erase(segments_, segment);
  } else {
    turn.release();
    chunk = co_await read_alone(offset, size);
  }
  co_return chunk;
}

Task<Result<Entry>> S3Reader::stat() {
  if (whole_) co_return *whole_; // one answer is one version: what was read is what it tells
  co_return co_await stat_key(*client_, entry_.path);
}

} // namespace checkvalve
