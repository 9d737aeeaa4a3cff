// libcurl's multi handle, driven by its sockets and its timer: transfers that wait cost nothing when another one goes
// on. Private to src/protocol/http.
#pragma once

#include <curl/curl.h>
#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

#include "core/unique_fd.h"

namespace checkvalve {

// One thread only, but for wake().
class CurlMulti {
public:
  CurlMulti(); // throws std::system_error if the process has no file descriptors left
  ~CurlMulti();
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  // To add and remove transfers, and to ask which are done.
  CURLM* handle() { return multi_; }
  // Until a transfer can make progress, libcurl's timer is due, or wake() was called since the last wait; for all but
  // the timer not before `least` is over.
  void wait(std::chrono::microseconds least);
  // Runs the transfers that wait() found ready, and those whose timers are due.
  void act();
  // Thread-safe.
  void wake();

private:
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);

  UniqueFd epoll_;
  UniqueFd wake_;
  CURLM* multi_; // closes its connections through on_socket, so before the descriptors above
  std::array<epoll_event, 256> ready_;
  std::size_t ready_count_ = 0;
  std::optional<std::chrono::steady_clock::time_point> due_; // of libcurl's one timer
};

} // namespace checkvalve
