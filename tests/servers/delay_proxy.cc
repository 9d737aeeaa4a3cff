// delay_proxy: a TCP proxy for tests and benchmarks that puts a server far away, or breaks the line.
//
//     delay_proxy --to 127.0.0.1:PORT [--listen PORT] [--delay-ms N]
//
// Prints "port N" once it listens on 127.0.0.1. Every byte arrives N milliseconds after it was sent, in each direction,
// so the round trip grows by 2N; the rate is not limited. Commands are lines on standard input:
//
//     cut            reset all connections now
//     cut-after N    reset all connections once N more bytes, both directions together, were passed on
//     refuse         accept and reset new connections at once
//     accept         take new connections again
//     hang           pass nothing on, but keep all connections open
//     flow           pass on again
//
// Each is answered with "done"; after `cut-after` a line "cut" follows when it happened. Ends with standard input.
#include <asio.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr std::size_t piece_bytes = 256 * 1024;
// What one direction may hold: 64 MiB on the way carry 640 MB/s at 100 ms.
constexpr std::size_t held_bytes_limit = 64 * 1024 * 1024;

class Connection;

struct Proxy {
  asio::io_context& io;
  tcp::endpoint server;
  std::chrono::milliseconds delay{0};
  bool refusing = false;
  bool hanging = false;
  std::optional<std::uint64_t> cut_after_bytes;
  std::set<std::shared_ptr<Connection>> connections;

  void cut();
  void passed(std::size_t bytes);
  void resume();
};

// One direction of a connection: reads while the queue has room, writes each piece when its time has come.
class Pipe {
public:
  Pipe(Proxy& proxy, tcp::socket& from, tcp::socket& to) : proxy_(proxy), from_(from), to_(to), timer_(proxy.io) {}

  void start(std::shared_ptr<Connection> owner) {
    owner_ = owner;
    read();
  }
  void resume() { write(); }
  void stop() { timer_.cancel(); }

private:
  struct Piece {
    Clock::time_point due;
    std::vector<char> data; // empty: the end
  };

  void read() {
    auto owner = owner_.lock();
    if (!owner || reading_ || ended_ || held_bytes_ >= held_bytes_limit) return;
    reading_ = true;
    buffer_.resize(piece_bytes);
    from_.async_read_some(asio::buffer(buffer_), [this, owner](asio::error_code error, std::size_t bytes) {
      reading_ = false;
      ended_ = static_cast<bool>(error);
      held_bytes_ += bytes;
      queue_.push_back({Clock::now() + proxy_.delay, {buffer_.begin(), buffer_.begin() + static_cast<long>(bytes)}});
      write();
      read();
    });
  }

  void write() {
    auto owner = owner_.lock();
    if (!owner || writing_ || queue_.empty() || proxy_.hanging) return;
    writing_ = true;
    timer_.expires_at(queue_.front().due);
    timer_.async_wait([this, owner](asio::error_code error) {
      writing_ = false;
      if (error || proxy_.hanging) return;
      pass_on(owner);
    });
  }

  void pass_on(const std::shared_ptr<Connection>& owner); // the piece that is due

  Proxy& proxy_;
  tcp::socket& from_;
  tcp::socket& to_;
  asio::steady_timer timer_;
  std::weak_ptr<Connection> owner_;
  std::deque<Piece> queue_;
  std::vector<char> buffer_;
  std::size_t held_bytes_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool ended_ = false;
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
  Connection(Proxy& proxy, tcp::socket client)
      : proxy_(proxy), client_(std::move(client)), server_(proxy.io), up_(proxy, client_, server_),
        down_(proxy, server_, client_) {}

  bool start() {
    asio::error_code error;
    server_.connect(proxy_.server, error); // loopback: answered at once
    if (error) {
      reset();
      return false;
    }
    client_.set_option(tcp::no_delay(true), error);
    server_.set_option(tcp::no_delay(true), error);
    up_.start(shared_from_this());
    down_.start(shared_from_this());
    return true;
  }
  void resume() {
    up_.resume();
    down_.resume();
  }
  // One direction has come to its end.
  void ended() {
    if (++ended_pipes_ == 2) proxy_.connections.erase(shared_from_this());
  }
  void failed() {
    reset();
    proxy_.connections.erase(shared_from_this());
  }
  // Both ends see a connection reset.
  void reset() {
    up_.stop();
    down_.stop();
    for (tcp::socket* socket : {&client_, &server_}) {
      asio::error_code ignored;
      socket->set_option(tcp::socket::linger(true, 0), ignored);
      socket->close(ignored);
    }
  }

private:
  Proxy& proxy_;
  tcp::socket client_;
  tcp::socket server_;
  Pipe up_;
  Pipe down_;
  int ended_pipes_ = 0;
};

void Pipe::pass_on(const std::shared_ptr<Connection>& owner) {
  if (queue_.front().data.empty()) {
    asio::error_code ignored;
    to_.shutdown(tcp::socket::shutdown_send, ignored);
    queue_.pop_front();
    owner->ended();
    return;
  }
  writing_ = true;
  asio::async_write(to_, asio::buffer(queue_.front().data), [this, owner](asio::error_code error, std::size_t bytes) {
    writing_ = false;
    if (error) {
      owner->failed();
      return;
    }
    held_bytes_ -= bytes;
    queue_.pop_front();
    proxy_.passed(bytes);
    write();
    read();
  });
}

void Proxy::cut() {
  cut_after_bytes.reset();
  for (const auto& connection : connections) connection->reset();
  connections.clear();
}

void Proxy::passed(std::size_t bytes) {
  if (!cut_after_bytes) return;
  if (bytes < *cut_after_bytes) {
    *cut_after_bytes -= bytes;
    return;
  }
  cut();
  std::cout << "cut" << std::endl;
}

void Proxy::resume() {
  hanging = false;
  for (const auto& connection : connections) connection->resume();
}

asio::awaitable<void> accept_all(Proxy& proxy, tcp::acceptor& acceptor) {
  for (;;) {
    auto connection = std::make_shared<Connection>(proxy, co_await acceptor.async_accept(asio::use_awaitable));
    if (proxy.refusing)
      connection->reset();
    else if (connection->start())
      proxy.connections.insert(connection);
  }
}

bool obey(Proxy& proxy, const std::string& line) {
  constexpr std::string_view cut_after = "cut-after ";
  if (line == "cut")
    proxy.cut();
  else if (line == "refuse")
    proxy.refusing = true;
  else if (line == "accept")
    proxy.refusing = false;
  else if (line == "hang")
    proxy.hanging = true;
  else if (line == "flow")
    proxy.resume();
  else if (line.starts_with(cut_after))
    proxy.cut_after_bytes = std::stoull(line.substr(cut_after.size()));
  else
    return false;
  return true;
}

asio::awaitable<void> take_commands(Proxy& proxy, asio::posix::stream_descriptor& input) {
  std::string pending;
  for (;;) {
    asio::error_code error;
    const std::size_t bytes = co_await asio::async_read_until(input, asio::dynamic_buffer(pending), '\n',
                                                              asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    const std::string line = pending.substr(0, bytes - 1);
    pending.erase(0, bytes);
    std::cout << (obey(proxy, line) ? "done" : "unknown command") << std::endl;
  }
  proxy.io.stop();
}

int usage() {
  std::cerr << "usage: delay_proxy --to 127.0.0.1:PORT [--listen PORT] [--delay-ms N]\n";
  return 2;
}

int run(int argc, char** argv) {
  std::optional<unsigned short> server_port;
  unsigned short listen_port = 0;
  std::chrono::milliseconds delay{0};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--to")
      server_port = static_cast<unsigned short>(std::stoul(value.substr(value.rfind(':') + 1)));
    else if (option == "--listen")
      listen_port = static_cast<unsigned short>(std::stoul(value));
    else if (option == "--delay-ms")
      delay = std::chrono::milliseconds(std::stoul(value));
    else
      return usage();
  }
  if (!server_port || argc % 2 == 0) return usage();

  asio::io_context io(1);
  Proxy proxy{.io = io, .server = {asio::ip::address_v4::loopback(), *server_port}, .delay = delay};
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), listen_port});
  asio::posix::stream_descriptor input(io, ::dup(0));
  std::cout << "port " << acceptor.local_endpoint().port() << std::endl;
  asio::co_spawn(io, accept_all(proxy, acceptor), asio::detached);
  asio::co_spawn(io, take_commands(proxy, input), asio::detached);
  io.run();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "delay_proxy: " << error.what() << "\n";
    return 1;
  }
}
