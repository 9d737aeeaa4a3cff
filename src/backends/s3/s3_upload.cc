#include "backends/s3/s3_upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/s3/s3_digest.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t mib = 1 << 20;
// Of "aws-chunked" bodies; the service wants at least 8 KiB in all but the last chunk.
constexpr std::uint64_t frame_bytes = 256 * 1024;
constexpr std::string_view trailer_name = "x-amz-checksum-crc32c:";
constexpr std::size_t crc32c_base64_bytes = 8;

std::string frame_head(std::uint64_t size) { return fmt::format("{:x}\r\n", size); }

// Length of a body of `size` bytes in aws-chunked encoding with a CRC-32C trailer ("Signature Calculations for the
// Authorization Header: transferring payload in multiple chunks" and "… with trailing headers" of the S3 API
// reference).
std::uint64_t framed_bytes(std::uint64_t size) {
  const std::uint64_t whole = size / frame_bytes;
  const std::uint64_t rest = size % frame_bytes;
  std::uint64_t out = size + whole * (frame_head(frame_bytes).size() + 2);
  if (rest != 0) out += frame_head(rest).size() + 2;
  return out + 3 + trailer_name.size() + crc32c_base64_bytes + 4;
}

std::uint64_t part_size_for(const S3Settings& settings, std::optional<std::uint64_t> size) {
  const std::uint64_t least = size ? (*size + settings.max_parts - 1) / settings.max_parts : 0;
  return std::max(settings.part_bytes, (least + mib - 1) / mib * mib);
}

// As rclone and others write it: seconds since 1970 with up to nine decimals.
std::string mtime_text(std::int64_t mtime_ns) {
  constexpr std::int64_t ns_per_s = 1'000'000'000;
  const std::int64_t seconds = (mtime_ns >= 0 ? mtime_ns : mtime_ns - (ns_per_s - 1)) / ns_per_s;
  const std::int64_t rest = mtime_ns - seconds * ns_per_s;
  if (rest == 0) return fmt::format("{}", seconds);
  if (seconds < 0) return fmt::format("-{}.{:09}", -(seconds + 1), ns_per_s - rest);
  return fmt::format("{}.{:09}", seconds, rest);
}

} // namespace

// --- parts -----------------------------------------------------------------------------------------------------------

struct S3Upload::Part {
  std::uint32_t number = 0;
  std::uint64_t size = 0;
  std::uint64_t fed = 0;
  S3Request request;
  std::unique_ptr<HttpExchange> exchange;
  std::optional<Checksum> checksum;

  Task<Result<void>> send(Chunk chunk) { return exchange->send(std::move(chunk)); }
};

namespace {

// Keeps the part alive to its end.
template <class Part> Task<Result<void>> send_piece(std::shared_ptr<Part> part, Chunk chunk) {
  co_return co_await part->exchange->send(std::move(chunk));
}

template <class Part> Task<Result<S3Part>> finish_part(std::shared_ptr<S3Client> client, std::shared_ptr<Part> part) {
  CV_CO_TRY(const HttpHead head, co_await client->answer(*part->exchange, part->request));
  for (;;) {
    CV_CO_TRY(const Chunk chunk, co_await part->exchange->read());
    if (chunk.empty()) break;
  }
  S3Part done{part->number, unquoted_etag(head), "", part->size};
  if (part->checksum && !head.header("x-amz-checksum-crc32c").empty()) done.crc32c = part->checksum->base64();
  if (!done.crc32c.empty() && done.crc32c != head.header("x-amz-checksum-crc32c"))
    co_return Failure(make_error(ErrorKind::integrity, "upload part of", escape_bytes(part->request.key),
                                 "the service got other bytes than were sent"));
  if (done.etag.empty())
    co_return Failure(make_error(ErrorKind::protocol, "upload part of", escape_bytes(part->request.key),
                                 "the service gave no ETag for a part"));
  co_return done;
}

} // namespace

S3Upload::S3Upload(std::shared_ptr<S3Client> client, std::shared_ptr<S3Conditions> conditions, std::string path,
                   UploadHints hints)
    : client_(std::move(client)), conditions_(std::move(conditions)), path_(std::move(path)), hints_(std::move(hints)),
      record_key_(client_->key_of(hints_.temporary.beside(path_))) {
  record_.key = client_->key_of(path_);
  record_.part_bytes = part_size_for(client_->settings(), hints_.size_bytes);
  record_.version = hints_.version;
}

S3Upload::~S3Upload() = default;

Error S3Upload::error(ErrorKind kind, std::string message) const {
  return make_error(kind, "write", escape_bytes(path_), std::move(message));
}

NameValues S3Upload::metadata(std::optional<std::int64_t> mtime_ns, std::optional<std::uint32_t> mode) const {
  NameValues headers = client_->settings().create_headers;
  if (mtime_ns) headers.emplace_back("x-amz-meta-mtime", mtime_text(*mtime_ns));
  if (mode)
    headers.emplace_back("x-amz-meta-mode", fmt::format("{:o}", 0100000 | *mode)); // with the type, as rclone has it
  return headers;
}

Task<Result<void>> S3Upload::begin() {
  const bool in_parts = hints_.size_bytes && *hints_.size_bytes > record_.part_bytes;
  bool continued = false;
  for (const TemporaryName& left : hints_.continues) {
    const std::string left_key = client_->key_of(left.beside(path_));
    if (in_parts && !continued) {
      CV_CO_TRY(continued, co_await go_on_with(left_key));
    }
    if (record_.upload_id.empty() || left_key != record_key_) CV_CO_CHECK(co_await remove_upload(*client_, left_key));
  }
  if (!in_parts || continued) co_return Result<void>();
  co_return co_await begin_anew();
}

// Takes over the parts from the first one on that follow each other, under a record of this upload's own. The one at
// `left_key`, if it is another one, is left without an upload, and is the caller's to remove.
Task<Result<bool>> S3Upload::go_on_with(std::string left_key) {
  CV_CO_TRY(const std::optional<UploadRecord> left, co_await fetch_record(*client_, left_key));
  const bool usable = left && left->key == record_.key && !left->version.empty() && left->version == record_.version &&
                      left->part_bytes >= record_.part_bytes;
  if (!usable) co_return false;
  auto parts = co_await list_parts(*client_, *left);
  if (!parts) co_return false;
  for (S3Part& part : *parts) {
    const std::uint64_t size = std::min(left->part_bytes, *hints_.size_bytes - resumed_bytes_);
    // Its size proves nothing: versitygw lists a part that broke off with the size that it should have had. The service
    // keeps a checksum only of a part that came whole.
    const bool complete =
        part.number == next_part_number() && part.size_bytes == size && size != 0 && !part.crc32c.empty();
    if (!complete) break;
    resumed_bytes_ += size;
    done_parts_.push_back(std::move(part));
  }
  if (done_parts_.empty()) co_return false;
  record_ = *left;
  taken_bytes_ = fed_bytes_ = resumed_bytes_;
  if (left_key == record_key_) co_return true;
  // First the new record, so that the upload is never without one; the caller must not find the old one's upload.
  CV_CO_CHECK(co_await put_record(*client_, record_key_, record_));
  CV_CO_CHECK(co_await remove_record(*client_, std::move(left_key)));
  co_return true;
}

Task<Result<void>> S3Upload::begin_anew() {
  NameValues headers = metadata(hints_.mtime_ns, hints_.mode);
  if (client_->settings().checksums) {
    headers.emplace_back("x-amz-checksum-algorithm", "CRC32C");
    headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT"); // so that readers of the whole object can verify it
  }
  return begin_multipart(*client_, record_key_, record_, std::move(headers));
}

Task<Result<void>> S3Upload::begin_part(std::uint64_t size) {
  auto part = std::make_shared<Part>();
  part->number = next_part_number();
  part->size = size;
  if (part->number > client_->settings().max_parts)
    co_return Failure(error(ErrorKind::unsupported, "has more parts than the service allows: raise part_size"));
  S3Request& request = part->request;
  request.operation = "upload part of";
  request.method = "PUT";
  request.key = client_->key_of(path_);
  request.query = {{"partNumber", std::to_string(part->number)}, {"uploadId", record_.upload_id}};
  if (client_->settings().checksums) {
    part->checksum.emplace(ChecksumKind::crc32c);
    request.payload_hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    request.streamed_bytes = framed_bytes(size);
    request.headers = {{"content-encoding", "aws-chunked"},
                       {"x-amz-decoded-content-length", std::to_string(size)},
                       {"x-amz-trailer", "x-amz-checksum-crc32c"}};
  } else {
    request.payload_hash = "UNSIGNED-PAYLOAD";
    request.streamed_bytes = size;
  }
  CV_CO_TRY(part->exchange, co_await client_->open(request));
  part_ = std::move(part);
  co_return Result<void>();
}

// Cuts the chunk where parts and frames end.
Task<Result<void>> S3Upload::feed(Chunk chunk, std::vector<Piece>& sent) {
  while (!chunk.empty()) {
    if (!part_) {
      // The last part's size is known by the hint, or (without one) is what flush_rest() has left over.
      const std::uint64_t left = hints_.size_bytes ? *hints_.size_bytes - fed_bytes_ : record_.part_bytes;
      CV_CO_CHECK(co_await begin_part(std::min(record_.part_bytes, left)));
    }
    Part& part = *part_;
    std::uint64_t piece = std::min<std::uint64_t>(chunk.size(), part.size - part.fed);
    if (part.checksum) {
      const std::uint64_t in_frame = part.fed % frame_bytes;
      if (in_frame == 0)
        sent.push_back(
            {part_, spawn(send_piece(part_, Chunk::copy_of(frame_head(std::min(frame_bytes, part.size - part.fed)))))});
      piece = std::min(piece, frame_bytes - in_frame);
    }
    Chunk now;
    if (piece == chunk.size()) {
      now = std::move(chunk);
      chunk = Chunk();
    } else {
      now = Chunk::copy_of(chunk.bytes().first(piece));
      chunk.narrow(piece, chunk.size() - piece);
    }
    if (part.checksum) part.checksum->update(now.bytes());
    sent.push_back({part_, spawn(send_piece(part_, std::move(now)))});
    part.fed += piece;
    fed_bytes_ += piece;
    const bool last = part.fed == part.size;
    if (part.checksum && (last || part.fed % frame_bytes == 0)) {
      std::string end = "\r\n";
      if (last) end += fmt::format("0\r\n{}{}\r\n\r\n", trailer_name, part.checksum->base64());
      sent.push_back({part_, spawn(send_piece(part_, Chunk::copy_of(end)))});
    }
    if (last) parts_.push_back(spawn(finish_part(client_, std::exchange(part_, nullptr))));
  }
  co_return Result<void>();
}

Task<Result<void>> S3Upload::take(Chunk chunk, std::vector<Piece>& sent) {
  taken_bytes_ += chunk.size();
  if (hints_.size_bytes && taken_bytes_ > *hints_.size_bytes)
    co_return Failure(error(ErrorKind::changed, "is longer than its size was said to be"));
  const bool streams = !record_.upload_id.empty() && hints_.size_bytes;
  if (streams) co_return co_await feed(std::move(chunk), sent);
  buffered_bytes_ += chunk.size();
  buffered_.push_back(std::move(chunk));
  if (hints_.size_bytes || buffered_bytes_ <= record_.part_bytes) co_return Result<void>();
  // Of unknown size: a part begins once it is known to be a whole one with more behind it.
  if (record_.upload_id.empty()) CV_CO_CHECK(co_await begin_anew());
  std::vector<Chunk> ready = std::exchange(buffered_, {});
  Chunk& last = ready.back();
  const std::uint64_t surplus = buffered_bytes_ - record_.part_bytes;
  Chunk rest = Chunk::copy_of(last.bytes().subspan(last.size() - surplus));
  last.narrow(0, last.size() - surplus);
  for (Chunk& piece : ready) CV_CO_CHECK(co_await feed(std::move(piece), sent));
  buffered_bytes_ = rest.size();
  buffered_.push_back(std::move(rest));
  co_return Result<void>();
}

Task<Result<void>> S3Upload::write(std::uint64_t offset, Chunk chunk) {
  (void)offset; // the calls come in the file's order, and are served in theirs
  std::vector<Piece> sent;
  auto turn = co_await turn_.acquire();
  Result<void> outcome;
  if (failed_)
    outcome = Failure(*failed_);
  else
    outcome = co_await take(std::move(chunk), sent);
  turn.release();
  std::shared_ptr<Part> broken;
  for (Piece& piece : sent) {
    auto done = co_await piece.sent.get();
    if (done || !outcome) continue;
    outcome = std::move(done);
    broken = piece.part;
  }
  if (outcome || failed_) co_return outcome;
  failed_ = outcome.error();
  if (broken)
    if (auto said = co_await answered_error(broken)) failed_ = std::move(*said);
  co_return Failure(*failed_);
}

// The service's own words, where it answered the part, say more than "the connection was closed".
Task<std::optional<Error>> S3Upload::answered_error(std::shared_ptr<Part> part) {
  if (part == part_) {
    if (auto answered = co_await client_->answer(*part->exchange, part->request); !answered) co_return answered.error();
    co_return std::nullopt;
  }
  const std::size_t index = part->number - 1 - done_parts_.size();
  if (index >= parts_.size()) co_return std::nullopt;
  JoinHandle<Result<S3Part>> finishing = std::move(parts_[index]);
  parts_.erase(parts_.begin() + static_cast<std::ptrdiff_t>(index));
  if (auto finished = co_await finishing.get(); !finished) co_return finished.error();
  co_return std::nullopt;
}

// --- the end ---------------------------------------------------------------------------------------------------------

// What is left of a file whose size was not known is its last part.
Task<Result<void>> S3Upload::flush_rest() {
  if (buffered_.empty()) co_return Result<void>();
  CV_CO_CHECK(co_await begin_part(buffered_bytes_));
  std::vector<Piece> sent;
  for (Chunk& chunk : std::exchange(buffered_, {})) CV_CO_CHECK(co_await feed(std::move(chunk), sent));
  for (Piece& piece : sent) CV_CO_CHECK(co_await piece.sent.get());
  co_return Result<void>();
}

Task<Result<Published>> S3Upload::commit(CommitOptions options) {
  if (failed_) co_return Failure(*failed_);
  if (taken_bytes_ != options.size_bytes || (hints_.size_bytes && *hints_.size_bytes != taken_bytes_))
    co_return Failure(error(ErrorKind::integrity, fmt::format("{} bytes were written, but {} were expected",
                                                              taken_bytes_, options.size_bytes)));
  CV_CO_TRY(const bool only_new, co_await claims_new_name(options.replace));
  auto published = record_.upload_id.empty() ? co_await put(options, only_new) : co_await complete(only_new);
  if (published && !options.content_digest.empty()) {
    CV_CO_TRY(const std::string kept, co_await kept_digest(*client_, path_));
    CV_CO_CHECK(check_digest(options.content_digest, kept, path_));
  }
  if (published || published.error().kind != ErrorKind::changed || !only_new) co_return published;
  co_return Failure(exists_already(path_));
}

// Whether the request that publishes is to carry If-None-Match. Where the service does not honour it, a look comes
// first.
Task<Result<bool>> S3Upload::claims_new_name(Replace replace) {
  if (replace != Replace::if_absent) co_return false;
  if (co_await conditions_->hold_for_writes(path_)) co_return true;
  S3Request look;
  look.operation = "publish";
  look.method = "HEAD";
  look.key = record_.key;
  auto there = co_await client_->call(look);
  if (there) co_return Failure(exists_already(path_));
  if (there.error().kind != ErrorKind::not_found) co_return Failure(there.error());
  co_return false;
}

Task<Result<Published>> S3Upload::put(CommitOptions options, bool only_new) {
  S3Request request;
  request.operation = "publish";
  request.method = "PUT";
  request.key = record_.key;
  request.headers = metadata(options.mtime_ns, options.mode);
  if (only_new) request.headers.emplace_back("if-none-match", "*");
  std::string crc32c;
  if (client_->settings().checksums) {
    Checksum checksum(ChecksumKind::crc32c);
    for (const Chunk& chunk : buffered_) checksum.update(chunk.bytes());
    crc32c = checksum.base64();
    request.headers.emplace_back("x-amz-checksum-crc32c", crc32c);
  }
  request.body = std::make_shared<const std::vector<Chunk>>(std::exchange(buffered_, {}));
  const auto response = co_await client_->call(std::move(request));
  if (response) {
    if (!crc32c.empty() && response->head.header("x-amz-checksum-crc32c").empty())
      client_->warn_once("the service does not confirm the checksums of what is written: it may not check them");
    co_return Published{"put", unquoted_etag(response->head)};
  }
  // Refused as existing: by the same request, perhaps, whose answer was lost on the way.
  if (only_new && response.error().kind == ErrorKind::changed)
    if (std::string etag = co_await client_->published_etag(record_.key, crc32c, taken_bytes_); !etag.empty())
      co_return Published{"put", std::move(etag)};
  co_return Failure(response.error());
}

Task<Result<Published>> S3Upload::complete(bool only_new) {
  CV_CO_CHECK(co_await flush_rest());
  std::vector<S3Part> parts = done_parts_;
  for (auto& part : parts_) {
    auto done = co_await part.get();
    if (!done && !failed_) failed_ = done.error();
    if (done) parts.push_back(std::move(*done));
  }
  if (failed_) co_return Failure(*failed_);
  CV_CO_TRY(std::string etag, co_await complete_multipart(client_, record_key_, record_, std::move(parts), only_new));
  record_.upload_id.clear();
  co_return Published{"multipart", std::move(etag)};
}

Task<Result<void>> S3Upload::abort() {
  if (part_) part_->exchange.reset();
  part_.reset();
  for (auto& part : parts_) (void)co_await part.get();
  buffered_.clear();
  if (record_.upload_id.empty()) co_return Result<void>();
  CV_CO_CHECK(co_await remove_upload(*client_, record_key_));
  record_.upload_id.clear();
  co_return Result<void>();
}

} // namespace checkvalve
