#include "backends/s3/s3_client.h"

#include <fmt/format.h>

#include <random>

#include "backends/silent_work.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr std::chrono::milliseconds initial_delay{100};
constexpr std::size_t hash_on_worker_from = 64 * 1024; // bytes; less is hashed on the engine thread
constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";

std::chrono::milliseconds delay_before(int attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = initial_delay.count() << attempt;
  return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(most / 4, most)(random));
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_busy(int status, std::string_view code) {
  return status == 429 || status == 500 || status == 502 || status == 503 || status == 504 ||
         is_one_of(code, {"SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException",
                          "RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "Busy"});
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
  if (fault.code == "SignatureDoesNotMatch")
    return "the service refuses the signature: is the secret access key right, and the region?";
  if (fault.code == "RequestTimeTooSkewed") return "this machine's clock differs too much from the service's";
  if (status == 301) return "the bucket is in another region: set the option region";
  if (status == 404 && fault.code.empty()) return "does not exist";
  if (status == 403 && fault.code.empty()) return "access denied";
  if (status == 412) return "is there in another version than expected";
  if (fault.code.empty()) return fmt::format("HTTP status {}", status);
  return fmt::format("{} ({}, HTTP status {})", fault.message.empty() ? "refused" : fault.message, fault.code, status);
}

} // namespace

S3Client::S3Client(BackendContext& context, S3Settings settings)
    : context_(context), settings_(std::move(settings)), http_(context.loop, settings_.http),
      provider_(http_, context.workers, settings_.aws, settings_.fixed, settings_.region), region_(settings_.region),
      slots_(settings_.connections) {}

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
    std::string all;
    if (body->size() == 1) return sha256_hex(body->front().text());
    for (const Chunk& chunk : *body) all += chunk.text();
    return sha256_hex(all);
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
  out.streamed_bytes = request.streamed_bytes;
  out.chunk_bytes = request.chunk_bytes;
  out.expected_bytes = request.expected_bytes;
  out.silent_work = silent_work_limit(request.worked_bytes);
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
    region_ = std::move(there); // a service with one address for all regions wants another signature only
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
  Error error =
      make_error(kind_of(head.status, fault.code), request.operation, std::move(path), explanation(head.status, fault));
  if (is_busy(head.status, fault.code)) error.status = ErrorStatus::transient;
  return error;
}

Task<void> S3Client::settle() {
  constexpr std::chrono::milliseconds step{5};
  for (auto waited = step; http_.exchanges() != 0 && waited < std::chrono::seconds(1); waited += step)
    co_await context_.loop.sleep(step);
}

Task<Result<HttpResponse>> S3Client::call(S3Request request) {
  const auto slot = co_await slots_.acquire();
  Result<HttpResponse> outcome = HttpResponse{};
  for (int attempt = 0; attempt < request.tries; ++attempt) {
    auto prepared = co_await prepare(request);
    if (!prepared) {
      outcome = Failure(prepared.error());
      break;
    }
    outcome = co_await http_.fetch(std::move(*prepared));
    bool again = false;
    if (!outcome) {
      again = outcome.error().kind == ErrorKind::connection && outcome.error().transient();
    } else {
      // CompleteMultipartUpload and the copies send their status before they know the outcome: a 200 may hold an error.
      const HttpHead head = outcome->head;
      const bool may_hold_error =
          !head.ok() || (request.method != "GET" && outcome->body.find("<Error") != std::string::npos);
      if (!may_hold_error) break;
      const S3Fault fault = read_fault(outcome->body);
      if (head.ok() && fault.code.empty()) break;
      again = learn(head, fault) || is_busy(head.status, fault.code);
      outcome = Failure(error_of(request, head, fault));
    }
    if (!again || attempt + 1 == request.tries) break;
    co_await context_.loop.sleep(delay_before(attempt));
  }
  co_return outcome;
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

Task<Result<void>> S3Client::connect() {
  S3Request request;
  request.operation = "connect to";
  request.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", "1"}, {"prefix", settings_.prefix}};
  CV_CO_TRY(const HttpResponse response, co_await call(std::move(request)));
  encodes_keys_ = read_element(response.body, "EncodingType") == "url";
  co_return Result<void>();
}

Task<Result<std::unique_ptr<HttpExchange>>> S3Client::open(S3Request request) {
  CV_CO_TRY(HttpRequest prepared, co_await prepare(request));
  co_return http_.start(std::move(prepared));
}

Task<Result<HttpHead>> S3Client::answer(HttpExchange& exchange, S3Request request) {
  CV_CO_TRY(HttpHead head, co_await exchange.head());
  if (head.ok()) co_return head;
  std::string body;
  while (body.size() < 64 * 1024) {
    auto chunk = co_await exchange.read();
    if (!chunk || chunk->empty()) break; // the status alone says enough
    body += chunk->text();
  }
  const S3Fault fault = read_fault(body);
  const bool again = learn(head, fault);
  Error error = error_of(request, head, fault);
  if (again) error.status = ErrorStatus::transient;
  co_return Failure(std::move(error));
}

} // namespace checkvalve
