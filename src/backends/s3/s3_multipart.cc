#include "backends/s3/s3_multipart.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "backends/s3/checksum.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::string_view record_title = "checkvalve multipart upload";

S3Request request_for(std::string operation, std::string method, std::string key) {
  S3Request request;
  request.operation = std::move(operation);
  request.method = std::move(method);
  request.key = std::move(key);
  return request;
}

std::shared_ptr<const std::vector<Chunk>> body_of(const std::string& text) {
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of(text));
  return body;
}

// The object's checksum as the service makes it of parts with CRC-32C: that of all bytes, or the checksum of the parts'
// checksums with their number ("composite"). "" if a part has none.
std::string checksum_of(const UploadRecord& record, const std::vector<S3Part>& parts) {
  Checksum whole(ChecksumKind::crc32c);
  Checksum composite(ChecksumKind::crc32c);
  for (const S3Part& part : parts) {
    const auto known = Checksum::known(ChecksumKind::crc32c, part.crc32c);
    if (!known) return "";
    whole.append(*known, part.size_bytes);
    composite.update(*from_base64(part.crc32c));
  }
  return record.whole_checksum ? whole.base64() : fmt::format("{}-{}", composite.base64(), parts.size());
}

} // namespace

std::string write_record(const UploadRecord& record) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", record_title, record.upload_id, escape_bytes(record.key),
                     record.part_bytes, escape_bytes(record.version), record.whole_checksum ? "whole" : "parts");
}

std::optional<UploadRecord> read_record(std::string_view text) {
  std::array<std::string_view, 6> lines;
  for (std::string_view& line : lines) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return std::nullopt;
    line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  const auto key = unescape_bytes(lines[2]);
  const auto version = unescape_bytes(lines[4]);
  UploadRecord record;
  const auto number = std::from_chars(lines[3].data(), lines[3].data() + lines[3].size(), record.part_bytes);
  if (lines[0] != record_title || lines[1].empty() || !key || !version || number.ec != std::errc()) return std::nullopt;
  record.key = *key;
  record.upload_id = lines[1];
  record.version = *version;
  record.whole_checksum = lines[5] == "whole";
  return record;
}

Task<Result<std::optional<UploadRecord>>> fetch_record(S3Client& client, std::string record_key) {
  const auto text = co_await client.call(request_for("read upload record", "GET", std::move(record_key)));
  if (!text && text.error().kind == ErrorKind::not_found) co_return std::nullopt;
  if (!text) co_return Failure(text.error());
  co_return read_record(text->body);
}

Task<Result<void>> put_record(S3Client& client, std::string record_key, UploadRecord record) {
  S3Request request = request_for("record upload of", "PUT", std::move(record_key));
  request.body = body_of(write_record(record));
  auto recorded = co_await client.call(std::move(request));
  if (!recorded) co_return Failure(recorded.error());
  co_return Result<void>();
}

Task<Result<void>> remove_record(S3Client& client, std::string record_key) {
  auto removed = co_await client.call(request_for("remove upload record", "DELETE", std::move(record_key)));
  if (!removed && removed.error().kind != ErrorKind::not_found) co_return Failure(removed.error());
  co_return Result<void>();
}

Task<Result<void>> remove_upload(S3Client& client, std::string record_key) {
  const auto text = co_await client.call(request_for("read upload record", "GET", record_key));
  if (!text && text.error().kind == ErrorKind::not_found) co_return Result<void>();
  if (!text) co_return Failure(text.error());
  if (const auto record = read_record(text->body)) {
    S3Request abort = request_for("abort upload", "DELETE", record->key);
    abort.query = {{"uploadId", record->upload_id}};
    if (auto done = co_await client.call(std::move(abort)); !done && done.error().kind != ErrorKind::not_found)
      co_return Failure(done.error());
  }
  co_return co_await remove_record(client, std::move(record_key));
}

Task<Result<void>> begin_multipart(S3Client& client, std::string record_key, UploadRecord& record, NameValues headers) {
  CV_CO_CHECK(co_await remove_upload(client, record_key));
  S3Request create = request_for("begin upload of", "POST", record.key);
  create.query = {{"uploads", ""}};
  create.headers = std::move(headers);
  CV_CO_TRY(const HttpResponse response, co_await client.call(std::move(create)));
  record.upload_id = read_element(response.body, "UploadId");
  record.whole_checksum = response.head.header("x-amz-checksum-type") == "FULL_OBJECT";
  if (record.upload_id.empty())
    co_return Failure(make_error(ErrorKind::protocol, "begin upload of", escape_bytes(record.key),
                                 "the service began an upload without an UploadId"));
  co_return co_await put_record(client, std::move(record_key), record);
}

Task<Result<std::vector<S3Part>>> list_parts(S3Client& client, UploadRecord record) {
  std::vector<S3Part> parts;
  std::string marker;
  do {
    S3Request request = request_for("list parts of", "GET", record.key);
    request.query = {{"uploadId", record.upload_id}};
    if (!marker.empty()) request.query.emplace_back("part-number-marker", marker);
    CV_CO_TRY(const HttpResponse response, co_await client.call(std::move(request)));
    CV_CO_TRY(S3PartPage page, read_part_page(response.body));
    parts.insert(parts.end(), page.parts.begin(), page.parts.end());
    if (page.next_marker == marker) break; // a service that goes in circles
    marker = std::move(page.next_marker);
  } while (!marker.empty());
  co_return parts;
}

Task<Result<std::string>> complete_multipart(std::shared_ptr<S3Client> client, std::string record_key,
                                             UploadRecord record, std::vector<S3Part> parts, bool only_new) {
  S3Request request = request_for("publish", "POST", record.key);
  request.query = {{"uploadId", record.upload_id}};
  if (only_new) request.headers.emplace_back("if-none-match", "*");
  request.body = body_of(write_parts(parts));
  for (const S3Part& part : parts) request.worked_bytes += part.size_bytes;
  const std::string checksum = checksum_of(record, parts);
  if (record.whole_checksum && !checksum.empty()) {
    request.headers.emplace_back("x-amz-checksum-crc32c", checksum);
    request.headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT");
  }
  const std::uint64_t size_bytes = request.worked_bytes;
  auto response = co_await client->call(std::move(request));
  std::string etag;
  if (response) {
    etag = read_element(response->body, "ETag");
  } else {
    const ErrorKind kind = response.error().kind;
    // An upload that is gone, or a name that is taken: by the same request, perhaps, whose answer was lost on the way.
    if (kind == ErrorKind::not_found || kind == ErrorKind::changed) {
      etag = co_await client->published_etag(record.key, checksum, size_bytes);
    }
    if (etag.empty() && kind == ErrorKind::not_found) response.error().status = ErrorStatus::transient; // started again
    if (etag.empty()) co_return Failure(response.error());
  }
  if (auto removed = co_await remove_record(*client, std::move(record_key)); !removed)
    client->context().events.emit(
        WarningEvent{"the record of a finished upload is left behind, sweep removes it: " + removed.error().text()});
  co_return etag;
}

} // namespace checkvalve
