// S3Client: signed requests to one bucket, and the meaning of their answers.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/object_store/request_pacer.h"
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
  std::string payload_hash;               // computed where it is empty
  std::uint32_t chunk_bytes = 256 * 1024; // see HttpRequest
  std::uint64_t expected_bytes = 0;
  std::uint64_t worked_bytes = 0;                // that the service itself copies or joins before it answers
  int tries = 5;                                 // at most
  std::optional<CancellationToken> cancellation; // default: the client's end
};

// A streamed answer whose head was received, and is a success.
struct S3Stream {
  Semaphore::Permit connection; // of the endpoint's limit; empty: it did not wait for one
  std::unique_ptr<HttpExchange> exchange;
  HttpHead head;
};

// Engine thread only. One for each Source and Target.
class S3Client {
public:
  S3Client(BackendContext& context, S3Settings settings);

  const S3Settings& settings() const { return settings_; }
  BackendContext& context() { return context_; }

  // Cancels what is under way, and waits for the ends of the spawned tasks. Later requests connect again.
  Task<void> disconnect();
  // For an owner that is destroyed without disconnect(): see HttpClient::close.
  void close() { http_.close(); }

  // Starts a task that this client owns: disconnect() waits for its end. The task keeps the client alive.
  template <class T> JoinHandle<T> spawn(Task<T> task) {
    auto state = std::make_shared<typename JoinHandle<T>::State>();
    tasks_.spawn(run_into(std::move(task), state));
    return JoinHandle<T>(std::move(state));
  }
  void spawn(Task<void> task) { tasks_.spawn(std::move(task)); }

  // Sends, and collects the answer; holds one of the endpoint's connections meanwhile. Retries transient errors
  // (throttling, 5xx, lost connections), and errors that a corrected clock or region, or renewed credentials may cure.
  // Any status but 2xx, and a 200 that holds an error, is an Error: not_found, permission, auth, changed (412), …
  Task<Result<HttpResponse>> call(S3Request request);
  // The same with a streamed answer. `waits`: for one of the endpoint's connections, and holds it with the stream.
  Task<Result<S3Stream>> open(S3Request request, bool waits);
  Retries retries() const { return {pacer_, 5}; }
  // Ends early at disconnect().
  Task<void> sleep(std::chrono::milliseconds duration);

  // The ETag of the object if it has this CRC-32C (in base64; empty: not known) and size, else "": shows whether a
  // request whose answer was lost took effect. (libcurl, too, repeats a request if the kept connection was closed.)
  Task<std::string> published_etag(std::string key, std::string crc32c, std::uint64_t size_bytes);
  // Adds the checksum of the body, as the settings have it. Gives the CRC-32C in base64, or "" with checksum=none: the
  // service then checks an MD5.
  std::string add_checksum(S3Request& request) const;
  // Warns the user once.
  void warn_once(std::string message);

  // One request that fails unless service, credentials and bucket are right, and finds out whether the service encodes
  // keys. Whether any key has the prefix.
  Task<Result<bool>> connect();
  // Whether listings give keys percent-encoded (encoding-type=url). Without it XML can't hold most control characters.
  // Known after connect().
  bool encodes_keys() const { return encodes_keys_; }

  // The key of a path below the root, and how messages name it.
  std::string key_of(std::string_view path) const { return settings_.prefix + std::string(path); }

private:
  Task<Result<HttpRequest>> prepare(const S3Request& request);
  Task<std::string> payload_hash(const S3Request& request);
  struct Verdict {
    Error error;
    bool throttled = false;
  };
  // The meaning of an answer that is not a success; transient where the same request may succeed later.
  Verdict judge(const S3Request& request, const HttpHead& head, std::string_view body);
  // Corrects clock, region or credentials by an answer. Whether the same request may succeed now.
  bool learn(const HttpHead& head, const S3Fault& fault);
  Task<Result<HttpResponse>> call_once(const S3Request& request, bool& throttled);
  Task<Result<S3Stream>> open_once(const S3Request& request, bool& throttled);
  template <class T> using Once = Task<Result<T>> (S3Client::*)(const S3Request& request, bool& throttled);
  template <class T> Task<Result<T>> retried(const S3Request& request, Semaphore::Permit* connection, Once<T> once);
  template <class T> static Task<void> run_into(Task<T> task, std::shared_ptr<typename JoinHandle<T>::State> state) {
    state->value.emplace(co_await std::move(task));
    state->done.set();
  }
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
  std::shared_ptr<Cancellation> closing_ =
      std::make_shared<Cancellation>(); // of what began since the last disconnect()
  RequestPacer pacer_;
  Semaphore connections_;
  TaskGroup tasks_;
};

// The ETag of an answer's object.
std::string unquoted_etag(const HttpHead& head);

} // namespace checkvalve
