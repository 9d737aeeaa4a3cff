// The thread that runs libcurl for one HttpClient. Private to src/protocol/http.
#pragma once

#include <curl/curl.h>

#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "protocol/http/curl_multi.h"
#include "protocol/http/http_exchange.h"

namespace checkvalve {

class CurlThread {
public:
  using StatePtr = std::shared_ptr<HttpExchange::State>;
  struct Command {
    HttpCommands::Kind kind;
    StatePtr state;
  };

  CurlThread(Loop& loop, HttpSettings settings);
  ~CurlThread() { stop(); }
  CurlThread(const CurlThread&) = delete;
  CurlThread& operator=(const CurlThread&) = delete;

  // Thread-safe.
  void submit(std::vector<Command> commands);
  // Ends all transfers, and the thread: nothing is posted to the loop afterwards. Engine thread.
  void stop();

private:
  void run();
  void obey(Command command);
  void begin(const StatePtr& state);
  void end(HttpExchange::State& state);
  void collect_finished();
  void note(HttpExchange::State& state);
  void deliver_news();
  CURL* take_easy();
  CURL* new_easy();
  void set_body(const StatePtr& state);
  void set_headers(const StatePtr& state);

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* state);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* state);
  static std::size_t on_send(char* buffer, std::size_t size, std::size_t count, void* state);
  static int on_seek(void* state, curl_off_t offset, int origin);
  static int on_debug(CURL* easy, curl_infotype type, char* data, std::size_t size, void* thread);

  Loop& loop_;
  const HttpSettings settings_;
  CurlMulti multi_;
  std::vector<CURL*> idle_;
  std::unordered_map<HttpExchange::State*, StatePtr> running_;
  std::vector<StatePtr> with_news_;
  std::mutex mutex_;
  std::vector<Command> commands_; // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::thread thread_;
};

} // namespace checkvalve
