#include "protocol/http/curl_multi.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

CURLM* new_multi() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
  return curl_multi_init();
}

int opened(int fd) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll of the HTTP client");
  return fd;
}

std::uint32_t events_of(int what) {
  std::uint32_t events = 0;
  if ((what & CURL_POLL_IN) != 0) events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) events |= EPOLLOUT;
  return events;
}

int action_of(std::uint32_t events) {
  int action = 0;
  if ((events & (EPOLLIN | EPOLLHUP)) != 0) action |= CURL_CSELECT_IN;
  if ((events & EPOLLOUT) != 0) action |= CURL_CSELECT_OUT;
  if ((events & EPOLLERR) != 0) action |= CURL_CSELECT_ERR;
  return action;
}

} // namespace

CurlMulti::CurlMulti()
    : epoll_(opened(::epoll_create1(EPOLL_CLOEXEC))), wake_(opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      multi_(new_multi()) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

CurlMulti::~CurlMulti() { curl_multi_cleanup(multi_); }

void CurlMulti::wake() { (void)!::eventfd_write(wake_.get(), 1); }

void CurlMulti::wait(std::chrono::microseconds least) {
  if (least.count() > 0 && (!due_ || *due_ > Clock::now() + least)) std::this_thread::sleep_for(least);
  int timeout_ms = -1;
  if (due_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due_ - Clock::now()).count();
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
  }
  const int count = ::epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), timeout_ms);
  ready_count_ = static_cast<std::size_t>(std::max(0, count));
  // Here and not in act(): what wakes from now on is news to the caller.
  eventfd_t wakes = 0;
  for (const epoll_event& event : std::span(ready_).first(ready_count_))
    if (event.data.fd == wake_.get()) (void)!::eventfd_read(wake_.get(), &wakes);
}

void CurlMulti::act() {
  int running = 0;
  for (const epoll_event& event : std::span(ready_).first(std::exchange(ready_count_, 0)))
    if (event.data.fd != wake_.get())
      curl_multi_socket_action(multi_, event.data.fd, action_of(event.events), &running);
  if (!due_ || *due_ > Clock::now()) return;
  due_.reset(); // libcurl sets it again
  curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
}

// Sockets are registered again where the kernel has forgotten them: libcurl closes some without a word, and then opens
// others of the same number.
int CurlMulti::on_socket(CURL*, curl_socket_t socket, int what, void* self, void* known) {
  CurlMulti& multi = *static_cast<CurlMulti*>(self);
  const int epoll = multi.epoll_.get();
  epoll_event event{.events = events_of(what), .data = {.fd = socket}};
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, &event);
    return 0;
  }
  const int first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(epoll, first, socket, &event) != 0 && (errno == ENOENT || errno == EEXIST))
    ::epoll_ctl(epoll, first == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
  if (!known) curl_multi_assign(multi.multi_, socket, self);
  return 0;
}

int CurlMulti::on_timer(CURLM*, long timeout_ms, void* self) {
  CurlMulti& multi = *static_cast<CurlMulti*>(self);
  multi.due_.reset();
  if (timeout_ms >= 0) multi.due_ = Clock::now() + std::chrono::milliseconds(timeout_ms);
  return 0;
}

} // namespace checkvalve
