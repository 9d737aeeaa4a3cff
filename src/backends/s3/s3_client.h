// S3Client: signed requests to one bucket, and what their answers mean.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/s3/aws_credentials.h"
#include "backends/s3/s3_settings.h"
#include "backends/s3/s3_xml.h"
#include "core/async.h"
#include "protocol/http/http_client.h"

namespace checkvalve {

struct S3Request {
  std::string operation; // for messages: "list", "open", "publish"
  std::string method = "GET";
  std::string key; // bytes; empty: the bucket itself
  NameValues query;
  NameValues headers; // names in lower case
  std::shared_ptr<const std::vector<Chunk>> body;
  std::optional<std::uint64_t> streamed_bytes; // see HttpRequest
  std::string payload_hash;                    // of a streamed body; computed for others
  std::uint32_t chunk_bytes = 256 * 1024;      // see HttpRequest
  std::uint64_t expected_bytes = 0;
  std::uint64_t worked_bytes = 0; // that the service itself copies or joins before it answers
  int tries = 5;                  // of call(), at most
};

// Engine thread only. One for each Source and Target.
class S3Client {
public:
  S3Client(BackendContext& context, S3Settings settings);

  const S3Settings& settings() const { return settings_; }
  BackendContext& context() { return context_; }

  // Waits until nothing is under way any more, at most a second: what nobody waits for (pages and parts of dropped
  // listings and uploads) is to come to its end.
  Task<void> settle();
  // Nothing comes from here any more (HttpClient::close).
  void close() { http_.close(); }

  // Sends, and collects the answer; the caller's part of the connections' limit is held meanwhile. Tries again what
  // the service asks to be tried again (throttling, 5xx, a clock that differs, credentials that expired). Any status
  // but 2xx, and a 200 that holds an error, is an Error: not_found, permission, auth, changed (412), …
  Task<Result<HttpResponse>> call(S3Request request);

  // Sends a request whose body or answer is streamed. Nothing is tried again.
  Task<Result<std::unique_ptr<HttpExchange>>> open(S3Request request);
  // The answer to it. An answer that is not a success is read to its end and becomes an Error.
  Task<Result<HttpHead>> answer(HttpExchange& exchange, S3Request request);

  // The ETag of the object if it has this CRC-32C (as headers have it; empty: not known) and size, else "": tells what
  // a request did whose answer was lost. (libcurl, too, sends a request again whose kept connection turns out closed.)
  Task<std::string> published_etag(std::string key, std::string crc32c, std::uint64_t size_bytes);
  // Tells the user once of what this service leaves out.
  void warn_once(std::string message);

  // One request that tells whether the service, the credentials and the bucket are there, and whether it encodes keys.
  Task<Result<void>> connect();
  // Whether listings give keys percent-encoded (encoding-type=url). Without it XML can't hold most control characters.
  // Known after connect().
  bool encodes_keys() const { return encodes_keys_; }

  // The key of a path below the root, and how messages name it.
  std::string key_of(std::string_view path) const { return settings_.prefix + std::string(path); }

private:
  Task<Result<HttpRequest>> prepare(const S3Request& request);
  Task<std::string> payload_hash(const S3Request& request);
  // Whether the same request is worth another try at once, after what `fault` made this client learn.
  bool learn(const HttpHead& head, const S3Fault& fault);
  Error error_of(const S3Request& request, const HttpHead& head, const S3Fault& fault) const;

  BackendContext& context_;
  const S3Settings settings_;
  HttpClient http_;
  AwsCredentialProvider provider_;
  AwsCredentials used_; // by the latest request
  SigningKey signing_key_;
  std::string region_; // the bucket's, once an answer named it
  bool encodes_keys_ = true;
  std::int64_t clock_offset_ms_ = 0; // the service's clock minus ours, once it complained
  std::set<std::string> warned_;
  Semaphore slots_;
};

// The ETag of an answer's object.
std::string unquoted_etag(const HttpHead& head);

} // namespace checkvalve
