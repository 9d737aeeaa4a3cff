// HttpClient: HTTP/1.1 and HTTP/2 for all backends, over libcurl's multi interface on a thread of its own. Requests go
// to that thread, and answers come back, in batches: one lock and one wake-up a turn of either side.
//
// Engine thread only. A client must be dropped before its Loop, and nobody may wait for one of its exchanges then.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/async.h"
#include "core/loop.h"
#include "core/result.h"
#include "core/task.h"
#include "protocol/http/http_message.h"

namespace checkvalve {

struct HttpSettings {
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::milliseconds stall_timeout{
      60'000};           // nothing sent or received for this long: ErrorKind::timeout; whole seconds
  std::string ca_bundle; // a PEM file of the authorities to trust; empty: the system's
  std::string proxy;     // a URL; empty: http_proxy, https_proxy and no_proxy of the environment; "none": no proxy
  std::uint32_t idle_connections = 128;        // kept open for later requests
  std::uint32_t receive_ahead_bytes = 1 << 20; // a response that nobody reads is held back at about this much
  // Called on the client's thread with lines of request and response heads, without secrets; empty: no trace.
  std::function<void(std::string_view)> trace;
};

// One request on its way. Dropping it cancels what is not done, which closes its connection.
class HttpExchange {
public:
  struct State;
  explicit HttpExchange(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Waits for the response's head; fails with the reason once HttpRequest::cancellation is requested. One caller at a
  // time, of head() and read() together.
  Task<Result<HttpHead>> head();
  // The next chunk of the response's body; an empty one is the end. A body that breaks off is an error.
  Task<Result<Chunk>> read();

private:
  std::shared_ptr<State> state_;
};

class HttpClient {
public:
  HttpClient(Loop& loop, HttpSettings settings);
  ~HttpClient(); // cancels what is under way
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Fails what is under way with ErrorKind::interrupted.
  void cancel();
  // Ends the client's thread, after which nothing reaches the loop: for an owner that is destroyed before the loop
  // while coroutines still hold the client. Those that await an exchange stay suspended.
  void close();

  std::unique_ptr<HttpExchange> start(HttpRequest request);
  // One exchange with redirects followed (see HttpRequest) and the body collected. Any status is a success here.
  // Errors: connection and timeout (transient), host_key (the certificate is not to be trusted), protocol.
  Task<Result<HttpResponse>> fetch(HttpRequest request);

private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

} // namespace checkvalve
