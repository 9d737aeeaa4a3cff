#include "backends/s3/s3_digest.h"

#include "backends/object_store/checksum.h"
#include "backends/temporary.h"
#include "core/path.h"
#include "core/text.h"

namespace checkvalve {

Task<Result<std::string>> kept_digest(S3Client& client, std::string path) {
  S3Request request;
  request.operation = "look at the checksum of";
  request.method = "HEAD";
  request.key = client.key_of(path);
  request.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  CV_CO_TRY(const HttpResponse there, co_await client.call(std::move(request)));
  // That of an upload in parts may be one of the parts' checksums, "…-N": no base64.
  const auto crc32c = from_base64(there.head.header("x-amz-checksum-crc32c"));
  if (crc32c && crc32c->size() == 4) co_return digest_text(HashAlgorithm::crc32c, *crc32c);
  co_return Failure(make_error(ErrorKind::unsupported, "look at the checksum of", escape_bytes(path),
                               "the service keeps no CRC-32C of the whole object"));
}

Task<Result<HashAlgorithm>> find_server_side_checksum(S3Client& client) {
  if (!client.settings().checksums)
    co_return Failure(make_error(ErrorKind::unsupported, "hash", "s3://" + client.settings().bucket,
                                 "no checksums are sent to this service (checksum = none)"));
  const std::string path = TemporaryName{random_plan_id(), 1, random_nonce(), 0}.text();
  Checksum checksum(ChecksumKind::crc32c);
  const std::string wrong = checksum.base64();
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of(std::string_view("checkvalve tries checksums")));
  checksum.update(body->front().bytes());
  S3Request write;
  write.operation = "try checksums with";
  write.method = "PUT";
  write.key = client.key_of(path);
  write.headers = {{"x-amz-checksum-crc32c", wrong}};
  write.body = body;
  S3Request remove;
  remove.operation = write.operation;
  remove.method = "DELETE";
  remove.key = write.key;
  // A service may store any header, and return it, without checking it against the content (rclone 1.75).
  const bool takes_wrong = (co_await client.call(write)).has_value();
  write.headers = {{"x-amz-checksum-crc32c", checksum.base64()}};
  CV_CO_TRY(const HttpResponse written, co_await client.call(std::move(write)));
  const auto kept = co_await kept_digest(client, path);
  if (auto removed = co_await client.call(std::move(remove)); !removed)
    client.warn_once("a temporary object is left behind, sweep removes it: " + removed.error().text());
  if (!kept) co_return Failure(kept.error());
  if (takes_wrong)
    co_return Failure(make_error(ErrorKind::unsupported, "hash", "s3://" + client.settings().bucket,
                                 "the service does not check the checksums that it keeps"));
  co_return HashAlgorithm::crc32c;
}

} // namespace checkvalve
