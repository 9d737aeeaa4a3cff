#include "backends/object_store/ranged_reader.h"

#include <algorithm>
#include <cstring>

#include "core/async.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t segment_bytes = 8 << 20;

} // namespace

Error RangedReader::changed(std::string why) const {
  return make_error(ErrorKind::changed, "read", escape_bytes(entry_.path), std::move(why));
}

// The segment that has the byte, or a new one that begins there.
std::shared_ptr<RangedReader::Segment> RangedReader::segment_for(std::uint64_t offset) {
  while (!segments_.empty() && segments_.front()->next == segments_.front()->end) segments_.pop_front();
  for (const auto& segment : segments_)
    if (segment->begin <= offset && offset < segment->end) return segment;
  auto segment = std::make_shared<Segment>();
  segment->begin = segment->next = segment->received = offset;
  segment->end = std::min(offset + segment_bytes, entry_.size_bytes);
  if (checksum_) segment->checksum.emplace(checksum_->kind);
  segments_.push_back(segment);
  return segment;
}

Result<void> RangedReader::check(Segment& segment, RangeAnswer& answer) {
  if (answer.entry.size_bytes != segment.end - segment.received)
    return Failure(changed("has another size than when it was listed"));
  if (entry_.etag.empty()) entry_.etag = answer.entry.etag;
  if (segment.received != 0 || segment.end != entry_.size_bytes) return {};
  coming_ = answer.entry;
  if (answer.checksum && source_->verifies()) {
    segment.checksum.emplace(answer.checksum->kind);
    checksum_ = std::move(answer.checksum);
  } else if (entry_.size_bytes != 0) {
    source_->warn_of_no_checksum();
  }
  return {};
}

// Requests the bytes of the segment that were not received.
Task<Result<void>> RangedReader::ask(Segment& segment) {
  segment.answer.reset(); // gives its connection back before another one is waited for
  CV_CO_TRY(RangeAnswer answer, co_await source_->open_range(entry_, {segment.received, segment.end, segment.waits}));
  CV_CO_CHECK(check(segment, answer));
  segment.answer = std::move(answer);
  co_return Result<void>();
}

// The next bytes of the body. A body that breaks off is requested again; the tries count from its latest byte.
Task<Result<Chunk>> RangedReader::receive(Segment& segment) {
  Retries retries = source_->retries();
  for (;;) {
    if (!segment.answer) CV_CO_CHECK(co_await ask(segment));
    auto chunk = co_await segment.answer->exchange->read();
    if (chunk && chunk->size() > segment.end - segment.received)
      co_return Failure(changed("is longer than when it was listed"));
    if (chunk && !chunk->empty()) {
      segment.received += chunk->size();
      co_return chunk;
    }
    const Error error =
        chunk ? make_error(ErrorKind::connection, "read", escape_bytes(entry_.path), "the object's content broke off")
              : chunk.error();
    const auto delay = retries.after(error, false);
    if (!delay || entry_.etag.empty()) co_return Failure(error); // without an ETag the rest may be of another version
    segment.answer.reset();
    co_await source_->sleep(*delay);
  }
}

// Does nothing until all of the object was read.
Result<void> RangedReader::verify_whole() {
  std::uint64_t bytes = 0;
  Checksum whole(checksum_->kind);
  for (const auto& [begin, part] : read_) {
    if (begin != bytes) return {};
    whole.append(part.checksum, part.bytes);
    bytes += part.bytes;
  }
  if (bytes != entry_.size_bytes || whole.base64() == checksum_->base64) return {};
  return Failure(make_error(ErrorKind::integrity, "read", escape_bytes(entry_.path),
                            "the content that came does not match the checksum that the service keeps of it"));
}

Task<Result<void>> RangedReader::begin() {
  // The answers to ranges name no checksum of the whole. Asked for first: nothing waits for a second connection while
  // it holds one.
  if (entry_.size_bytes > segment_bytes && source_->verifies()) {
    checksum_ = co_await source_->whole_checksum(entry_);
    if (!checksum_) source_->warn_of_no_checksum();
  }
  const std::shared_ptr<Segment> first = segment_for(0);
  CV_CO_CHECK(co_await ask(*first));
  if (entry_.size_bytes == 0) co_return co_await finish(*first);
  co_return Result<void>();
}

Task<Result<Chunk>> RangedReader::take(Segment& segment, std::uint32_t size) {
  Chunk out;
  std::size_t filled = 0;
  while (filled < size) {
    if (segment.rest.empty()) {
      CV_CO_TRY(segment.rest, co_await receive(segment));
    }
    if (filled == 0 && segment.rest.size() == size) { // the usual case: no copy
      out = std::exchange(segment.rest, Chunk());
      break;
    }
    if (filled == 0) out = Chunk::allocate(size);
    const std::size_t piece = std::min<std::size_t>(size - filled, segment.rest.size());
    std::memcpy(out.data() + filled, segment.rest.data(), piece);
    segment.rest.narrow(piece, segment.rest.size() - piece);
    filled += piece;
  }
  segment.next += size;
  if (segment.checksum) segment.checksum->update(out.bytes());
  if (segment.next == segment.end) CV_CO_CHECK(co_await finish(segment));
  co_return out;
}

// All bytes of the segment were received: gives its connection back for reuse.
Task<Result<void>> RangedReader::finish(Segment& segment) {
  if (segment.checksum) {
    read_.insert_or_assign(segment.begin, Verified{segment.end - segment.begin, *segment.checksum});
    CV_CO_CHECK(verify_whole());
  }
  if (segment.answer) {
    const auto end = co_await segment.answer->exchange->read();
    segment.answer.reset();
    if (end && !end->empty()) co_return Failure(changed("is longer than when it was listed"));
  }
  if (segment.begin == 0 && segment.end == entry_.size_bytes) whole_ = std::exchange(coming_, std::nullopt);
  co_return Result<void>();
}

// A read out of order. It waits for no connection, since the reader may hold one that only its own reads give back.
Task<Result<Chunk>> RangedReader::read_alone(std::uint64_t offset, std::uint32_t size) {
  Segment segment;
  segment.begin = segment.next = segment.received = offset;
  segment.end = offset + size;
  segment.waits = false;
  co_return co_await take(segment, size);
}

Task<Result<Chunk>> RangedReader::read(std::uint64_t offset, std::uint32_t size) {
  if (offset >= entry_.size_bytes || size == 0) co_return Chunk();
  size = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, entry_.size_bytes - offset));
  const std::shared_ptr<Segment> segment = segment_for(offset);
  const auto here = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, segment->end - offset));
  if (here == size) co_return co_await read_from(segment, offset, size);
  // Segments follow each other without a gap, whatever the size of the reads: only one that was read to its end gives
  // its connection back, and has its checksum compared. Both reads take their turns before any later read does.
  auto first = spawn(read_from(segment, offset, here));
  auto second = spawn(read(offset + here, size - here));
  auto begin = co_await first.get();
  auto rest = co_await second.get();
  if (!begin || !rest) co_return begin ? std::move(rest) : std::move(begin);
  Chunk out = Chunk::allocate(size);
  std::memcpy(out.data(), begin->data(), begin->size());
  std::memcpy(out.data() + begin->size(), rest->data(), rest->size());
  co_return out;
}

Task<Result<Chunk>> RangedReader::read_from(std::shared_ptr<Segment> segment, std::uint64_t offset,
                                            std::uint32_t size) {
  auto turn = co_await segment->turn.acquire();
  Result<Chunk> chunk = Chunk();
  if (segment->failed) {
    chunk = Failure(*segment->failed);
  } else if (segment->next == offset) {
    chunk = co_await take(*segment, size);
    if (!chunk) {
      segment->failed = chunk.error();
      segment->answer.reset();
      std::erase(segments_, segment);
    }
  } else {
    turn.release();
    chunk = co_await read_alone(offset, size);
  }
  co_return chunk;
}

Task<Result<Entry>> RangedReader::stat() {
  if (whole_) co_return *whole_; // one answer is one version: what was read is what it describes
  co_return co_await source_->look_at(entry_.path);
}

} // namespace checkvalve
