// A small HTTP/1.1 server on a free loopback port, for tests of the HTTP client: each connection has a thread, and a
// handler answers what it likes, well-formed or not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace checkvalve::testing_support {

struct HttpServerRequest {
  std::string method;
  std::string target;                         // as it came: path and query
  std::map<std::string, std::string> headers; // names in lower case
  std::string body;
  int connection = 0; // from 1, in the order of their opening
};

// One connection, as a handler sees it.
class HttpServerConnection {
public:
  virtual ~HttpServerConnection() = default;
  virtual void send(std::string_view bytes) = 0; // blocks until the kernel has them; does nothing once the peer is gone
  virtual void respond(int status, std::string_view headers,
                       std::string_view body) = 0; // headers: lines, each with "\r\n"
  // Waits until the peer has closed the connection.
  virtual void wait_for_close() = 0;
};

class HttpServer {
public:
  // Returns whether the connection is to be kept. Runs on the connection's thread.
  using Handler = std::function<bool(const HttpServerRequest& request, HttpServerConnection& connection)>;
  explicit HttpServer(Handler handler);
  ~HttpServer(); // closes all connections and joins their threads
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(std::string_view path) const;
  std::uint16_t port() const;
  int connections() const; // opened so far

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace checkvalve::testing_support
