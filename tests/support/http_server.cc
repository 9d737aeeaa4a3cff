#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace checkvalve::testing_support {
namespace {

class Connection : public HttpServerConnection {
public:
  explicit Connection(int fd) : fd_(fd) {}

  void send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void respond(int status, std::string_view headers, std::string_view body) override {
    send("HTTP/1.1 " + std::to_string(status) + " Test\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }
  void wait_for_close() override {
    char byte[4096];
    while (::recv(fd_, byte, sizeof byte, 0) > 0) continue;
  }

  // False at the connection's end.
  bool read(HttpServerRequest& request) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!fill()) return false;
    std::string_view head = std::string_view(buffer_).substr(0, end);
    std::size_t line_end = std::min(head.find("\r\n"), head.size());
    const std::string_view first = head.substr(0, line_end);
    const std::size_t space = first.find(' ');
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, first.rfind(' ') - space - 1);
    request.headers.clear();
    while (line_end < head.size()) {
      head.remove_prefix(line_end + 2);
      line_end = std::min(head.find("\r\n"), head.size());
      const std::string_view line = head.substr(0, line_end);
      const std::size_t colon = line.find(':');
      std::string name(line.substr(0, colon));
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(::tolower(c)); });
      std::string_view value = line.substr(std::min(colon + 1, line.size()));
      while (value.starts_with(' ')) value.remove_prefix(1);
      request.headers[name] = value;
    }
    const std::size_t length =
        request.headers.contains("content-length") ? std::stoull(request.headers["content-length"]) : 0;
    buffer_.erase(0, end + 4);
    while (buffer_.size() < length)
      if (!fill()) return false;
    request.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return true;
  }

private:
  bool fill() {
    char bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  int fd_;
  std::string buffer_;
};

} // namespace

struct HttpServer::Impl {
  Handler handler;
  int listener = -1;
  std::uint16_t port = 0;
  std::atomic<int> opened{0};
  std::mutex mutex;
  std::vector<int> open_fds;        // guarded by mutex
  std::vector<std::thread> threads; // guarded by mutex
  std::thread acceptor;

  void serve(int fd, int number) {
    Connection connection(fd);
    HttpServerRequest request;
    request.connection = number;
    while (connection.read(request) && handler(request, connection)) continue;
    std::lock_guard lock(mutex);
    std::erase(open_fds, fd);
    ::close(fd);
  }
  void accept_all() {
    for (;;) {
      const int fd = ::accept(listener, nullptr, nullptr);
      if (fd < 0) return;
      std::lock_guard lock(mutex);
      open_fds.push_back(fd);
      threads.emplace_back([this, fd, number = ++opened] { serve(fd, number); });
    }
  }
};

HttpServer::HttpServer(Handler handler) : impl_(std::make_unique<Impl>()) {
  impl_->handler = std::move(handler);
  impl_->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(impl_->listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(impl_->listener, 1024) != 0 ||
      ::getsockname(impl_->listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("the test's HTTP server can't listen");
  impl_->port = ntohs(address.sin_port);
  impl_->acceptor = std::thread([this] { impl_->accept_all(); });
}

HttpServer::~HttpServer() {
  ::shutdown(impl_->listener, SHUT_RDWR);
  impl_->acceptor.join();
  ::close(impl_->listener);
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(impl_->mutex);
    for (const int fd : impl_->open_fds) ::shutdown(fd, SHUT_RDWR);
    threads.swap(impl_->threads);
  }
  for (std::thread& thread : threads) thread.join();
}

std::string HttpServer::url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(impl_->port) + std::string(path);
}
std::uint16_t HttpServer::port() const { return impl_->port; }
int HttpServer::connections() const { return impl_->opened; }

} // namespace checkvalve::testing_support
