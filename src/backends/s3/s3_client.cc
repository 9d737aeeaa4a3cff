#include "backends/s3/s3_client.h"

#include <fmt/format.h>

#include "backends/object_store/checksum.h"
#include "backends/silent_work.h"
#include "core/hash.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr std::size_t hash_on_worker_from = 64 * 1024; // bytes; less is hashed on the engine thread
constexpr std::size_t max_error_bytes = 64 * 1024;     // of an answer's body
constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_throttled(int status, std::string_view code) {
  return status == 429 || is_one_of(code, {"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling",
                                           "ThrottlingException", "RequestLimitExceeded"});
}

bool is_busy(int status, std::string_view code) {
  return is_throttled(status, code) || status == 500 || status == 502 || status == 503 || status == 504 ||
         is_one_of(code, {"InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted",
                          "ConditionalRequestConflict", "Busy"});
}

ErrorKind kind_of(int status, std::string_view code) {
  if (is_one_of(code, {"NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NoSuchVersion"})) return ErrorKind::not_found;
  if (is_one_of(code,
                {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
                 "RequestTimeTooSkewed", "ExpiredTokenException", "AuthorizationHeaderMalformed"}))
    return ErrorKind::auth;
  if (is_one_of(code, {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
                       "ChecksumMismatch"}))
    return ErrorKind::integrity;
  if (is_one_of(code, {"QuotaExceeded", "InsufficientStorage", "EntityTooLarge", "XMinioStorageFull"}))
    return ErrorKind::no_space;
  if (is_one_of(code, {"KeyTooLongError", "KeyTooLong", "InvalidURI"})) return ErrorKind::invalid_name;
  switch (status) {
  case 301: return ErrorKind::config;
  case 401: return ErrorKind::auth;
  case 403: return ErrorKind::permission;
  case 404: return ErrorKind::not_found;
  case 412:
  case 416: return ErrorKind::changed;
  case 405:
  case 501: return ErrorKind::unsupported;
  case 507: return ErrorKind::no_space;
  default: return ErrorKind::io;
  }
}

std::string explanation(int status, const S3Fault& fault) {
  if (fault.code == "NoSuchBucket") return "the bucket does not exist";
  if (fault.code == "InvalidAccessKeyId") return "the service does not know this access key";
  if (fault.code == "SignatureDoesNotMatch") return "the service refuses the signature";
  if (fault.code == "RequestTimeTooSkewed") return "this machine's clock differs too much from the service's";
  if (status == 301) return "the bucket is in another region";
  if (status == 404 && fault.code.empty()) return "does not exist";
  if (status == 403 && fault.code.empty()) return "access denied";
  if (status == 412) return "has another version than expected";
  if (fault.code.empty()) return fmt::format("HTTP status {}", status);
  return fmt::format("{} ({}, HTTP status {})", fault.message.empty() ? "refused" : fault.message, fault.code, status);
}

std::string hint_for(const S3Request& request, int status, const S3Fault& fault, std::string_view region) {
  if (fault.code == "SignatureDoesNotMatch") return "check the secret access key and the region";
  if (!region.empty() && (status == 301 || status == 307 || status == 400)) return fmt::format("set region={}", region);
  if (status == 301) return "set the option region";
  const bool checked = std::ranges::any_of(
      request.headers, [](const auto& header) { return header.first.starts_with("x-amz-checksum"); });
  if (status == 501 && checked) return "set checksum=none if the service knows no checksum headers";
  return "";
}

} // namespace

S3Client::S3Client(BackendContext& context, S3Settings settings)
    : context_(context), settings_(std::move(settings)), http_(context.loop, settings_.http),
      provider_(http_, context.workers, settings_.aws, settings_.fixed, settings_.region), region_(settings_.region),
      connections_(settings_.connections, LockRank::request) {}

Task<std::string> S3Client::payload_hash(const S3Request& request) {
  if (!request.payload_hash.empty()) co_return request.payload_hash;
  if (!request.body) {
    static const std::string of_nothing = sha256_hex("");
    co_return of_nothing;
  }
  // TLS and the checksum protect the content; without TLS the signature must.
  if (settings_.base_url.starts_with("https://")) co_return std::string(unsigned_payload);
  std::size_t size = 0;
  for (const Chunk& chunk : *request.body) size += chunk.size();
  const auto hash = [body = request.body] {
    if (body->size() == 1) return sha256_hex(body->front().text());
    Hasher hasher(HashAlgorithm::sha256);
    for (const Chunk& chunk : *body) hasher.update(chunk.bytes());
    return hasher.digest().substr(std::string_view("sha256:").size());
  };
  if (size < hash_on_worker_from) co_return hash();
  co_return co_await context_.workers.run(hash);
}

Task<Result<HttpRequest>> S3Client::prepare(const S3Request& request) {
  SignedParts parts;
  parts.method = request.method;
  parts.host = settings_.signed_host;
  parts.encoded_path = settings_.path_style ? "/" + percent_encode(settings_.bucket, false) : "";
  if (!request.key.empty() || !settings_.path_style) parts.encoded_path += "/" + percent_encode(request.key, true);
  parts.query = request.query;
  parts.headers = request.headers;
  parts.headers.insert(parts.headers.end(), settings_.request_headers.begin(), settings_.request_headers.end());

  HttpRequest out;
  out.method = request.method;
  out.url = settings_.base_url + parts.encoded_path;
  if (!parts.query.empty()) out.url += "?" + canonical_query(parts.query);
  out.body = request.body;
  out.chunk_bytes = request.chunk_bytes;
  out.expected_bytes = request.expected_bytes;
  out.silent_work = silent_work_limit(request.worked_bytes);
  out.cancellation = request.cancellation.value_or(CancellationToken());
  for (const auto& [name, value] : parts.headers) out.headers.push_back({name, value});
  if (settings_.anonymous) co_return out;

  parts.payload_hash = co_await payload_hash(request);
  CV_CO_TRY(used_, co_await provider_.get());
  for (auto& [name, value] : sign(parts, used_, {region_, "s3", now_ms() + clock_offset_ms_}, signing_key_))
    out.headers.push_back({std::move(name), std::move(value), true});
  co_return out;
}

bool S3Client::learn(const HttpHead& head, const S3Fault& fault) {
  if (is_one_of(fault.code, {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})) {
    if (used_.session_token.empty()) return false;
    provider_.refuse(used_);
    return true;
  }
  if (fault.code == "RequestTimeTooSkewed") {
    const std::int64_t there_s = read_time(head.header("date"));
    if (there_s == 0) return false;
    clock_offset_ms_ = there_s * 1000 - now_ms();
    return true;
  }
  std::string there(head.header("x-amz-bucket-region"));
  if (there.empty()) there = fault.region;
  if ((head.status == 400 || head.status == 301 || head.status == 307) && !there.empty() && there != region_ &&
      settings_.base_url.find(".amazonaws.com") == std::string::npos) {
    region_ = std::move(there); // one address serves all regions: only the signature differs
    return true;
  }
  return false;
}

Error S3Client::error_of(const S3Request& request, const HttpHead& head, const S3Fault& fault) const {
  const std::string_view bare = std::string_view(request.key).starts_with(settings_.prefix)
                                    ? std::string_view(request.key).substr(settings_.prefix.size())
                                    : std::string_view(request.key);
  std::string path =
      bare.empty() ? "s3://" + settings_.bucket + "/" + escape_bytes(settings_.prefix) : escape_bytes(bare);
  std::string region(head.header("x-amz-bucket-region"));
  if (region.empty()) region = fault.region;
  if (region == region_) region.clear(); // the error is not about the region
  Error error =
      make_error(kind_of(head.status, fault.code), request.operation, std::move(path), explanation(head.status, fault))
          .with_hint(hint_for(request, head.status, fault, region));
  if (is_busy(head.status, fault.code)) error.status = ErrorStatus::transient;
  return error;
}

S3Client::Verdict S3Client::judge(const S3Request& request, const HttpHead& head, std::string_view body) {
  const S3Fault fault = read_fault(body);
  Verdict verdict{error_of(request, head, fault), is_throttled(head.status, fault.code)};
  if (learn(head, fault)) verdict.error.status = ErrorStatus::transient;
  const std::string_view retry_after = head.header("retry-after");
  if (verdict.throttled || (head.status == 503 && !retry_after.empty()))
    pacer_.throttled(read_retry_after(retry_after, now_ms() / 1000));
  return verdict;
}

// Sends until it succeeds or its tries are used up. `connection`: receives one of the endpoint's; null: not waited for.
template <class T>
Task<Result<T>> S3Client::retried(const S3Request& request, Semaphore::Permit* connection, Once<T> once) {
  const std::shared_ptr<Cancellation> closing = closing_; // another disconnect() may replace it
  const CancellationToken token = request.cancellation.value_or(*closing);
  if (connection) *connection = co_await connections_.acquire(1, token);
  Retries retries(pacer_, request.tries);
  for (;;) {
    co_await pacer_.admit(token);
    if (token.requested()) co_return Failure(token.reason());
    bool throttled = false;
    auto outcome = co_await (this->*once)(request, throttled);
    if (outcome) {
      pacer_.succeeded();
      co_return outcome;
    }
    const auto delay = token.requested() ? std::nullopt : retries.after(outcome.error(), throttled);
    if (!delay) co_return outcome;
    (void)co_await context_.loop.sleep(*delay, token);
  }
}

Task<Result<HttpResponse>> S3Client::call_once(const S3Request& request, bool& throttled) {
  CV_CO_TRY(HttpRequest prepared, co_await prepare(request));
  CV_CO_TRY(HttpResponse response, co_await http_.fetch(std::move(prepared)));
  // CompleteMultipartUpload and the copies send their status before they know the outcome: a 200 may hold an error.
  const bool success =
      response.head.ok() && (request.method == "GET" || response.body.find("<Error") == std::string::npos ||
                             read_fault(response.body).code.empty());
  if (success) co_return response;
  Verdict verdict = judge(request, response.head, response.body);
  throttled = verdict.throttled;
  co_return Failure(std::move(verdict.error));
}

Task<Result<HttpResponse>> S3Client::call(S3Request request) {
  Semaphore::Permit connection;
  co_return co_await retried(request, &connection, &S3Client::call_once);
}

Task<Result<S3Stream>> S3Client::open_once(const S3Request& request, bool& throttled) {
  CV_CO_TRY(HttpRequest prepared, co_await prepare(request));
  S3Stream stream{{}, http_.start(std::move(prepared)), {}};
  CV_CO_TRY(stream.head, co_await stream.exchange->head());
  if (stream.head.ok()) co_return stream;
  std::string body;
  while (body.size() < max_error_bytes) {
    auto chunk = co_await stream.exchange->read();
    if (!chunk || chunk->empty()) break; // the status alone says enough
    body += chunk->text();
  }
  Verdict verdict = judge(request, stream.head, body);
  throttled = verdict.throttled;
  co_return Failure(std::move(verdict.error));
}

Task<Result<S3Stream>> S3Client::open(S3Request request, bool waits) {
  Semaphore::Permit connection;
  CV_CO_TRY(S3Stream stream, co_await retried(request, waits ? &connection : nullptr, &S3Client::open_once));
  stream.connection = std::move(connection);
  co_return stream;
}

Task<void> S3Client::disconnect() {
  closing_->request(make_error(ErrorKind::interrupted, "use", settings_.service_url, "the connection was closed"));
  http_.cancel();
  co_await tasks_.join();
  closing_ = std::make_shared<Cancellation>();
}

Task<void> S3Client::sleep(std::chrono::milliseconds duration) {
  const std::shared_ptr<Cancellation> closing = closing_;
  (void)co_await context_.loop.sleep(duration, *closing);
}

std::string S3Client::add_checksum(S3Request& request) const {
  if (settings_.checksums) {
    Checksum checksum(ChecksumKind::crc32c);
    for (const Chunk& chunk : *request.body) checksum.update(chunk.bytes());
    request.headers.emplace_back("x-amz-checksum-crc32c", checksum.base64());
    return checksum.base64();
  }
  if (const std::string md5 = md5_base64(*request.body); !md5.empty()) request.headers.emplace_back("content-md5", md5);
  return "";
}

Task<std::string> S3Client::published_etag(std::string key, std::string crc32c, std::uint64_t size_bytes) {
  if (crc32c.empty()) co_return "";
  S3Request request;
  request.operation = "look at";
  request.method = "HEAD";
  request.key = std::move(key);
  request.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  const auto there = co_await call(std::move(request));
  if (!there || there->head.header("x-amz-checksum-crc32c") != crc32c ||
      there->head.header("content-length") != std::to_string(size_bytes))
    co_return "";
  co_return unquoted_etag(there->head);
}

void S3Client::warn_once(std::string message) {
  if (warned_.insert(message).second) context_.events.emit(WarningEvent{std::move(message)});
}

std::string unquoted_etag(const HttpHead& head) {
  std::string_view etag = head.header("etag");
  if (etag.size() >= 2 && etag.front() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

Task<Result<bool>> S3Client::connect() {
  S3Request request;
  request.operation = "connect to";
  request.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", "1"}, {"prefix", settings_.prefix}};
  CV_CO_TRY(const HttpResponse response, co_await call(std::move(request)));
  encodes_keys_ = read_element(response.body, "EncodingType") == "url";
  CV_CO_TRY(const S3Page page, read_page(response.body));
  co_return !page.objects.empty();
}

} // namespace checkvalve
