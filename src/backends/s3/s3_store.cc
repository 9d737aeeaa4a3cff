#include "backends/s3/s3_store.h"

#include <fmt/format.h>

#include "backends/s3/s3_listing.h"
#include "core/path.h"
#include "core/text.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";

S3Request request_for(std::string operation, std::string method, std::string key) {
  S3Request request;
  request.operation = std::move(operation);
  request.method = std::move(method);
  request.key = std::move(key);
  return request;
}

void add_condition(S3Request& request, const ExpectedVersion& expected) {
  if (expected && expected->empty()) request.headers.emplace_back("if-none-match", "*");
  if (expected && !expected->empty()) request.headers.emplace_back("if-match", "\"" + *expected + "\"");
}

ObjectBody body_of(std::string_view text) {
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of(text));
  return body;
}

std::uint64_t size_of(const ObjectBody& body) {
  std::uint64_t size = 0;
  for (const Chunk& chunk : *body) size += chunk.size();
  return size;
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

// The object's checksum as the service makes it of parts with CRC-32C: that of all bytes, or the checksum of the parts'
// checksums with their number ("composite"). "" if a part has none.
std::string checksum_of(const PartsSession& session, const std::vector<StoredPart>& parts) {
  Checksum whole(ChecksumKind::crc32c);
  Checksum composite(ChecksumKind::crc32c);
  for (const StoredPart& part : parts) {
    const auto known = Checksum::known(ChecksumKind::crc32c, part.checksum);
    if (!known) return "";
    whole.append(*known, part.size_bytes);
    composite.update(*from_base64(part.checksum));
  }
  return session.whole_checksum ? whole.base64() : fmt::format("{}-{}", composite.base64(), parts.size());
}

// "" unless it is a CRC-32C of all bytes: one of the parts' checksums ("composite") ends with their number.
std::string whole_crc32c(std::string_view base64, std::string_view type) {
  const auto value = from_base64(base64);
  return value && value->size() == 4 && type != "COMPOSITE" ? std::string(base64) : "";
}

// The checksum of the whole object, where the answer has one that is not a checksum of checksums.
std::optional<WholeChecksum> checksum_in(const HttpHead& head) {
  if (head.header("x-amz-checksum-type") == "COMPOSITE") return std::nullopt;
  const std::pair<const char*, ChecksumKind> known[] = {{"x-amz-checksum-crc64nvme", ChecksumKind::crc64nvme},
                                                        {"x-amz-checksum-crc32c", ChecksumKind::crc32c},
                                                        {"x-amz-checksum-crc32", ChecksumKind::crc32}};
  for (const auto& [name, kind] : known) {
    const std::string_view value = head.header(name);
    // "…-3": of three parts' checksums.
    if (!value.empty() && value.find('-') == value.npos) return WholeChecksum{kind, std::string(value)};
  }
  return std::nullopt;
}

} // namespace

S3Store::S3Store(std::shared_ptr<S3Client> client)
    : client_(std::move(client)), conditions_(std::make_shared<S3Conditions>(client_)),
      limits_{client_->settings().part_bytes, 5 * mib, client_->settings().max_parts} {}

NameValues S3Store::metadata(const ObjectWrite& write) const {
  NameValues headers = client_->settings().create_headers;
  if (write.mtime_ns) headers.emplace_back("x-amz-meta-mtime", mtime_text(*write.mtime_ns));
  if (write.mode)
    headers.emplace_back("x-amz-meta-mode", fmt::format("{:o}", 0100000 | *write.mode)); // with the type, as rclone's
  return headers;
}

std::string S3Store::options_text(const ObjectWrite& write) const {
  std::string text;
  for (const auto& [name, value] : metadata(write)) text.append(name).append("=").append(value).append("\n");
  return text;
}

Task<Result<StoredObject>> S3Store::put(ObjectWrite write, ObjectBody body, ExpectedVersion expected) {
  S3Request request = request_for("publish", "PUT", client_->key_of(write.path));
  request.headers = metadata(write);
  add_condition(request, expected);
  request.body = body;
  const std::string crc32c = client_->add_checksum(request);
  const auto response = co_await client_->call(std::move(request));
  if (response) {
    StoredObject object{unquoted_etag(response->head), std::nullopt, ""};
    if (!crc32c.empty()) object.checksum = response->head.header("x-amz-checksum-crc32c");
    if (!crc32c.empty() && object.checksum.empty())
      client_->warn_once("the service does not confirm the checksums of what is written: it may not check them");
    co_return object;
  }
  if (!expected || response.error().kind != ErrorKind::changed) co_return Failure(response.error());
  // The condition does not hold: by the effect of the same request, perhaps, whose answer was lost on the way.
  std::string etag = co_await client_->published_etag(client_->key_of(write.path), crc32c, size_of(body));
  if (etag.empty()) co_return Failure(expected->empty() ? exists_already(write.path) : response.error());
  co_return StoredObject{std::move(etag), size_of(body), crc32c};
}

Task<Result<PartsSession>> S3Store::begin_parts(ObjectWrite write) {
  NameValues headers = metadata(write);
  if (client_->settings().checksums) {
    headers.emplace_back("x-amz-checksum-algorithm", "CRC32C");
    headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT"); // so that readers of the whole object can verify it
  }
  return begin_parts_with(client_->key_of(write.path), std::move(headers));
}

Task<Result<PartsSession>> S3Store::begin_parts_with(std::string key, NameValues headers) {
  S3Request create = request_for("begin upload of", "POST", key);
  create.query = {{"uploads", ""}};
  create.headers = std::move(headers);
  CV_CO_TRY(const HttpResponse response, co_await client_->call(std::move(create)));
  PartsSession session{std::move(key), read_element(response.body, "UploadId"),
                       response.head.header("x-amz-checksum-type") == "FULL_OBJECT"};
  if (session.id.empty() || session.id.find('\n') != std::string::npos)
    co_return Failure(make_error(ErrorKind::protocol, "begin upload of", escape_bytes(session.key),
                                 "the service began an upload without an UploadId"));
  co_return session;
}

Task<Result<StoredPart>> S3Store::put_part(PartsSession session, std::uint32_t number, std::uint64_t, ObjectBody body,
                                           CancellationToken cancellation) {
  S3Request request = request_for("upload part of", "PUT", session.key);
  request.query = {{"partNumber", std::to_string(number)}, {"uploadId", session.id}};
  request.body = body;
  request.cancellation = cancellation;
  // The checksum finds errors. Without TLS nothing stops a forger, and a SHA-256 of all parts would not either, as
  // answers are not signed.
  request.payload_hash = unsigned_payload;
  StoredPart part{number, size_of(body), "", client_->add_checksum(request)};
  auto response = co_await client_->call(std::move(request));
  if (!response) {
    // The session was aborted by somebody else: another attempt begins a new one.
    if (response.error().kind == ErrorKind::not_found) response.error().status = ErrorStatus::transient;
    co_return Failure(std::move(response.error()));
  }
  const std::string_view there = response->head.header("x-amz-checksum-crc32c");
  if (!part.checksum.empty() && !there.empty() && there != part.checksum)
    co_return Failure(make_error(ErrorKind::integrity, "upload part of", escape_bytes(session.key),
                                 "the service received other bytes than were sent"));
  if (there.empty()) part.checksum.clear();
  part.id = unquoted_etag(response->head);
  if (part.id.empty())
    co_return Failure(make_error(ErrorKind::protocol, "upload part of", escape_bytes(session.key),
                                 "the service gave no ETag for a part"));
  co_return part;
}

Task<Result<std::vector<StoredPart>>> S3Store::list_parts(PartsSession session) {
  std::vector<StoredPart> parts;
  std::string marker;
  do {
    S3Request request = request_for("list parts of", "GET", session.key);
    request.query = {{"uploadId", session.id}};
    if (!marker.empty()) request.query.emplace_back("part-number-marker", marker);
    CV_CO_TRY(const HttpResponse response, co_await client_->call(std::move(request)));
    CV_CO_TRY(S3PartPage page, read_part_page(response.body));
    parts.insert(parts.end(), page.parts.begin(), page.parts.end());
    if (page.next_marker == marker) break; // the service repeats itself
    marker = std::move(page.next_marker);
  } while (!marker.empty());
  co_return parts;
}

Task<Result<StoredObject>> S3Store::complete(PartsSession session, std::vector<StoredPart> parts, ObjectBody,
                                             ExpectedVersion expected) {
  S3Request request = request_for("publish", "POST", session.key);
  request.query = {{"uploadId", session.id}};
  add_condition(request, expected);
  request.body = body_of(write_parts(parts));
  for (const StoredPart& part : parts) request.worked_bytes += part.size_bytes;
  const std::string checksum = checksum_of(session, parts);
  if (session.whole_checksum && !checksum.empty()) {
    request.headers.emplace_back("x-amz-checksum-crc32c", checksum);
    request.headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT");
  }
  const std::uint64_t size_bytes = request.worked_bytes;
  auto response = co_await client_->call(std::move(request));
  if (response)
    co_return StoredObject{
        read_element(response->body, "ETag"), std::nullopt,
        whole_crc32c(read_element(response->body, "ChecksumCRC32C"), read_element(response->body, "ChecksumType"))};
  const ErrorKind kind = response.error().kind;
  if (kind != ErrorKind::not_found && kind != ErrorKind::changed) co_return Failure(response.error());
  // The upload does not exist or the name does: perhaps by the effect of the same request, whose answer was lost.
  std::string etag = co_await client_->published_etag(session.key, checksum, size_bytes);
  if (!etag.empty()) co_return StoredObject{std::move(etag), size_bytes, whole_crc32c(checksum, "")};
  if (kind == ErrorKind::not_found)
    response.error().status = ErrorStatus::transient; // another attempt begins a new one
  if (kind == ErrorKind::changed && expected && expected->empty()) response.error().kind = ErrorKind::exists;
  co_return Failure(response.error());
}

Task<Result<void>> S3Store::abort(PartsSession session) {
  S3Request request = request_for("abort upload", "DELETE", std::move(session.key));
  request.query = {{"uploadId", session.id}};
  auto done = co_await client_->call(std::move(request));
  if (!done && done.error().kind != ErrorKind::not_found) co_return Failure(done.error());
  co_return Result<void>();
}

Task<Result<StoredObject>> S3Store::look_at(std::string key) {
  S3Request request = request_for("look at", "HEAD", std::move(key));
  request.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  CV_CO_TRY(const HttpResponse there, co_await client_->call(std::move(request)));
  StoredObject object{unquoted_etag(there.head), entry_of("", there.head).size_bytes, ""};
  if (client_->settings().checksums)
    object.checksum =
        whole_crc32c(there.head.header("x-amz-checksum-crc32c"), there.head.header("x-amz-checksum-type"));
  co_return object;
}

Task<Result<std::optional<std::string>>> S3Store::read_small(std::string key) {
  auto text = co_await client_->call(request_for("read upload record", "GET", std::move(key)));
  if (!text && text.error().kind == ErrorKind::not_found) co_return std::nullopt;
  if (!text) co_return Failure(text.error());
  co_return std::move(text->body);
}

Task<Result<void>> S3Store::write_small(std::string key, std::string text) {
  S3Request request = request_for("record upload of", "PUT", std::move(key));
  request.body = body_of(text);
  client_->add_checksum(request);
  auto recorded = co_await client_->call(std::move(request));
  if (!recorded) co_return Failure(recorded.error());
  co_return Result<void>();
}

Task<Result<void>> S3Store::remove_small(std::string key) {
  auto removed = co_await client_->call(request_for("remove upload record", "DELETE", std::move(key)));
  if (!removed && removed.error().kind != ErrorKind::not_found) co_return Failure(removed.error());
  co_return Result<void>();
}

// --- reading ---------------------------------------------------------------------------------------------------------

Task<Result<RangeAnswer>> S3Ranges::open_range(Entry entry, Range range) {
  S3Request request = request_for("read", "GET", client_->key_of(entry.path));
  const bool all = range.begin == 0 && range.end == entry.size_bytes;
  if (!entry.etag.empty()) request.headers.emplace_back("if-match", "\"" + entry.etag + "\"");
  if (!all)
    request.headers.emplace_back("range", fmt::format("bytes={}-{}", range.begin, range.end - 1));
  else if (client_->settings().checksums)
    request.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  request.expected_bytes = range.end - range.begin;
  CV_CO_TRY(S3Stream stream, co_await client_->open(std::move(request), range.waits));
  // rclone 1.75 sends 200 with a range that it honours, and says so.
  const bool in_range =
      stream.head.status == 206 ||
      stream.head.header("content-range").starts_with(fmt::format("bytes {}-{}/", range.begin, range.end - 1));
  if (!all && !in_range)
    co_return Failure(make_error(ErrorKind::protocol, "read", escape_bytes(entry.path),
                                 "the server ignores the range of bytes that it was asked for"));
  co_return RangeAnswer{std::move(stream.connection), std::move(stream.exchange), entry_of(entry.path, stream.head),
                        checksum_in(stream.head)};
}

Task<std::optional<WholeChecksum>> S3Ranges::whole_checksum(Entry entry) {
  S3Request look = request_for("look at", "HEAD", client_->key_of(entry.path));
  look.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  const auto answer = co_await client_->call(std::move(look));
  if (!answer || unquoted_etag(answer->head) != entry.etag) co_return std::nullopt; // reading reports the error
  co_return checksum_in(answer->head);
}

Task<Result<Entry>> S3Ranges::look_at(std::string path) { return stat_key(*client_, std::move(path)); }

void S3Ranges::warn_of_no_checksum() {
  client_->warn_once(client_->settings().checksums
                         ? "the service has no checksums of the whole content of some objects: what is read of them is "
                           "only known to be complete"
                         : "with checksum=none, what is read is only known to be complete");
}

} // namespace checkvalve
