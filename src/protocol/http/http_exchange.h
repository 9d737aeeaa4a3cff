// The state of an exchange that the two threads of an HttpClient share. Private to src/protocol/http.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/async.h"
#include "protocol/http/http_client.h"

namespace checkvalve {

class CurlThread;

// News of one exchange for the engine thread.
struct HttpDelivery {
  std::optional<HttpHead> head;
  std::vector<Chunk> body;
  std::optional<Result<void>> done;
};

// The client's side of its queue to the curl thread.
class HttpCommands {
public:
  virtual ~HttpCommands() = default;
  enum class Kind : std::uint8_t { start, resume, cancel };
  virtual void push(Kind kind, std::shared_ptr<HttpExchange::State> state) = 0;
  virtual void forget(HttpExchange::State& state) = 0; // its exchange was dropped
};

// The curl thread's side of one exchange.
struct CurlTransfer {
  CurlThread* thread = nullptr;
  CURL* easy = nullptr;
  std::string header_text;
  std::vector<curl_slist> headers; // each line points into header_text
  char error_text[CURL_ERROR_SIZE] = {};
  HttpHead head;
  std::size_t head_bytes = 0;
  bool head_done = false;
  std::optional<std::uint64_t> content_length;
  Chunk filling; // response bytes that are not a whole chunk yet
  std::size_t filled = 0;
  std::size_t body_index = 0; // of the request: the chunk and the place in it that comes next
  std::size_t body_offset = 0;
  bool receive_paused = false;
  HttpDelivery news;
  bool has_news = false;
};

struct HttpExchange::State : std::enable_shared_from_this<HttpExchange::State> {
  HttpRequest request; // not changed once it has started
  std::weak_ptr<HttpCommands> commands;
  std::uint32_t receive_ahead_bytes = 0;

  // Both threads.
  std::atomic<std::uint64_t> unread_bytes{0}; // delivered, or on the way, and not read yet
  std::atomic<bool> waits_for_reader{false};

  CurlTransfer curl; // curl thread only

  // Engine thread only.
  std::optional<HttpHead> head;
  std::deque<Chunk> received;
  std::optional<Result<void>> done;
  AutoResetEvent changed;

  void deliver(HttpDelivery news);
  // Ends the exchange, unless it is done.
  static void give_up(const std::shared_ptr<State>& state, ErrorKind kind, const char* why);
};

} // namespace checkvalve
