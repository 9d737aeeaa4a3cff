#include "protocol/http/http_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <future>
#include <mutex>

#include "core/unique_fd.h"
#include "protocol/http/http_trace.h"
#include "support/http_server.h"
#include "support/run.h"

namespace checkvalve {
namespace {

using testing_support::HttpServer;
using testing_support::HttpServerConnection;
using testing_support::HttpServerRequest;

struct Net {
  explicit Net(HttpServer::Handler handler, HttpSettings settings = {}) : server(std::move(handler)) {
    settings.proxy = "none";
    client.emplace(loop, std::move(settings));
  }
  Loop loop;
  HttpServer server;
  std::optional<HttpClient> client;

  Result<HttpResponse> fetch(HttpRequest request) { return loop.run(client->fetch(std::move(request))); }
};

HttpRequest get(std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  return request;
}

bool echo(const HttpServerRequest& request, HttpServerConnection& connection) {
  connection.respond(200, "X-Target: " + request.target + "\r\nX-Method: " + request.method + "\r\n", request.body);
  return true;
}

TEST(HttpClient, SendsAWholeBodyAndKeepsThePathAsItStands) {
  Net net(echo);
  HttpRequest request = get(net.server.url("/a/../b//c%20d?x=%2F"));
  request.method = "PUT";
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of("one "));
  body->push_back(Chunk::copy_of("two"));
  request.body = body;
  auto response = net.fetch(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->head.status, 200);
  EXPECT_EQ(response->body, "one two");
  EXPECT_EQ(response->head.header("x-target"), "/a/../b//c%20d?x=%2F");
  EXPECT_EQ(response->head.header("x-method"), "PUT");
}

TEST(HttpClient, UsesAConnectionAgain) {
  Net net(echo);
  for (int i = 0; i < 5; ++i) ASSERT_OK(net.fetch(get(net.server.url("/"))));
  EXPECT_EQ(net.server.connections(), 1);
}

TEST(HttpClient, SendsAgainWhenAKeptConnectionWasClosed) {
  Net net([](const HttpServerRequest& request, HttpServerConnection& connection) {
    connection.respond(200, "", request.body);
    return false; // closes without having said so
  });
  HttpRequest request = get(net.server.url("/"));
  request.method = "PUT";
  auto body = std::make_shared<std::vector<Chunk>>();
  body->push_back(Chunk::copy_of("again"));
  request.body = body;
  for (int i = 0; i < 5; ++i) {
    auto response = net.fetch(request);
    ASSERT_OK(response);
    EXPECT_EQ(response->body, "again");
  }
}

TEST(HttpClient, SendsABodyOfManyChunks) {
  Net net(echo);
  auto body = std::make_shared<std::vector<Chunk>>();
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    const std::string piece(100'000, static_cast<char>('a' + i % 26));
    body->push_back(Chunk::copy_of(piece));
    expected += piece;
  }
  HttpRequest request = get(net.server.url("/up"));
  request.method = "PUT";
  request.body = body;
  auto response = net.fetch(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->head.status, 200);
  EXPECT_TRUE(response->body == expected);
}

TEST(HttpClient, FailsIfTheConnectionIsClosedInsteadOfAnAnswer) {
  Net net([](const HttpServerRequest&, HttpServerConnection&) { return false; });
  HttpRequest request = get(net.server.url("/up"));
  request.method = "PUT";
  auto body = std::make_shared<std::vector<Chunk>>();
  for (const char* piece : {"01234", "56789"}) body->push_back(Chunk::copy_of(piece));
  request.body = body;
  EXPECT_FAILS(net.fetch(request), ErrorKind::connection);
}

// Answers with a body larger than all buffers on the way, and counts what it could send.
struct Flood {
  static constexpr std::size_t piece = 64 * 1024;
  static constexpr std::size_t pieces = 640; // 40 MiB
  std::size_t sent_pieces = pieces;
  std::atomic<std::size_t> sent{0};
  bool operator()(const HttpServerRequest&, HttpServerConnection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(piece * pieces) + "\r\n\r\n");
    for (std::size_t i = 0; i < sent_pieces; ++i) {
      connection.send(std::string(piece, static_cast<char>('a' + i % 26)));
      ++sent;
    }
    return true;
  }
};

Task<void> read_slowly(Net& net, Flood& flood) {
  HttpRequest request = get(net.server.url("/flood"));
  request.expected_bytes = Flood::piece * Flood::pieces;
  auto exchange = net.client->start(request);
  CO_ASSERT_VALUE(HttpHead head, co_await exchange->head());
  EXPECT_EQ(head.status, 200);
  std::size_t got = 0;
  for (;;) {
    CO_ASSERT_VALUE(Chunk chunk, co_await exchange->read());
    if (chunk.empty()) break;
    EXPECT_EQ(chunk.size(), request.chunk_bytes);
    // What the server has sent and nobody has read is in the kernel's buffers, or held back in ours: bounded.
    EXPECT_LT(flood.sent * Flood::piece - got, 24U << 20);
    EXPECT_EQ(chunk.text()[0], static_cast<char>('a' + got / Flood::piece % 26));
    got += chunk.size();
  }
  EXPECT_EQ(got, Flood::piece * Flood::pieces);
}

TEST(HttpClient, HoldsBackABodyThatIsReadSlowly) {
  Flood flood;
  Net net(
      [&](const HttpServerRequest& request, HttpServerConnection& connection) { return flood(request, connection); });
  net.loop.run(read_slowly(net, flood));
}

TEST(HttpClient, RefusesAnAnswerThatIsTooLarge) {
  Flood flood;
  Net net(
      [&](const HttpServerRequest& request, HttpServerConnection& connection) { return flood(request, connection); });
  EXPECT_FAILS(net.fetch(get(net.server.url("/"))), ErrorKind::protocol);
}

TEST(HttpClient, RefusesAHeadThatIsTooLarge) {
  Net net([](const HttpServerRequest&, HttpServerConnection& connection) {
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    for (int line = 0; line < 28; ++line)
      head += "X-Fill: " + std::string(10'000, 'x') + "\r\n"; // libcurl takes 300 KB
    connection.send(head + "\r\n");
    return false;
  });
  EXPECT_FALSE(net.fetch(get(net.server.url("/"))).has_value());
}

TEST(HttpClient, ReportsABodyThatBreaksOff) {
  Net net([](const HttpServerRequest&, HttpServerConnection& connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    return false;
  });
  auto response = net.fetch(get(net.server.url("/")));
  EXPECT_FAILS(response, ErrorKind::connection);
  EXPECT_TRUE(response.error().transient());
}

TEST(HttpClient, ReportsAServerThatDoesNotRun) {
  std::string url;
  {
    HttpServer gone(echo);
    url = gone.url("/");
  }
  Net net(echo);
  auto response = net.fetch(get(url));
  EXPECT_FAILS(response, ErrorKind::connection);
  EXPECT_TRUE(response.error().transient());
}

// A listener whose queue of connections is full: the kernel answers no further one.
class FullListener {
public:
  FullListener() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 0), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size), 0);
    for (UniqueFd& fd : queued_) {
      fd = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), size);
    }
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(ntohs(address_.sin_port)) + "/"; }

private:
  UniqueFd listener_;
  sockaddr_in address_{};
  std::array<UniqueFd, 4> queued_;
};

TEST(HttpClient, GivesUpOnAServerThatStalls) {
  HttpSettings settings;
  settings.stall_timeout = std::chrono::seconds(1);
  Net net(
      [](const HttpServerRequest&, HttpServerConnection& connection) {
        connection.wait_for_close();
        return false;
      },
      settings);
  EXPECT_FAILS(net.fetch(get(net.server.url("/"))), ErrorKind::timeout);
}

Task<void> outlast_a_stall(Net& net, std::promise<void>& worked) {
  HttpRequest request = get(net.server.url("/work"));
  request.silent_work = std::chrono::seconds(600);
  const auto patient = net.client->start(request);
  EXPECT_FAILS(co_await net.client->fetch(get(net.server.url("/stalls"))), ErrorKind::timeout);
  worked.set_value();
  CO_ASSERT_VALUE(const HttpHead head, co_await patient->head());
  EXPECT_EQ(head.status, 200);
}

TEST(HttpClient, GivesAServerThatWorksLongerThanOneThatStalls) {
  HttpSettings settings;
  settings.stall_timeout = std::chrono::seconds(1);
  std::promise<void> worked;
  Net net(
      [done = worked.get_future().share()](const HttpServerRequest& request, HttpServerConnection& connection) {
        if (request.target == "/work") {
          done.wait();
          connection.respond(200, "", "");
        } else {
          connection.wait_for_close();
        }
        return false;
      },
      settings);
  net.loop.run(outlast_a_stall(net, worked));
}

// Libcurl asks for no more of a body while it is held back, and has to look for stalls again afterwards.
TEST(HttpClient, GivesUpOnAServerThatStallsAfterItWasHeldBack) {
  HttpSettings settings;
  settings.stall_timeout = std::chrono::seconds(1);
  settings.receive_ahead_bytes = 1;
  Flood flood;
  flood.sent_pieces = Flood::pieces - 1;
  Net net(
      [&](const HttpServerRequest& request, HttpServerConnection& connection) {
        flood(request, connection);
        connection.wait_for_close();
        return false;
      },
      settings);
  HttpRequest request = get(net.server.url("/"));
  request.max_body_bytes = Flood::piece * Flood::pieces;
  EXPECT_FAILS(net.fetch(request), ErrorKind::timeout);
  EXPECT_EQ(flood.sent, Flood::pieces - 1);
}

TEST(HttpClient, GivesUpOnAServerThatTakesNoConnection) {
  FullListener full;
  HttpSettings settings;
  settings.connect_timeout = std::chrono::milliseconds(300);
  Net net(echo, settings);
  EXPECT_FAILS(net.fetch(get(full.url())), ErrorKind::timeout);
}

TEST(HttpClient, FollowsRedirectsAndLeavesSecretsBehind) {
  std::mutex mutex;
  std::vector<std::string> seen; // by the second server
  HttpServer other([&](const HttpServerRequest& request, HttpServerConnection& connection) {
    std::lock_guard lock(mutex);
    seen.push_back(request.headers.contains("authorization") ? "secret" : "plain");
    seen.push_back(request.headers.contains("x-kept") ? "kept" : "lost");
    connection.respond(200, "", "there");
    return true;
  });
  Net net([&](const HttpServerRequest& request, HttpServerConnection& connection) {
    if (request.target == "/same") {
      connection.respond(302, "Location: /here\r\n", "");
    } else if (request.target == "/here") {
      connection.respond(200, "", request.headers.contains("authorization") ? "with secret" : "without");
    } else {
      connection.respond(307, "Location: " + other.url("/x") + "\r\n", "");
    }
    return true;
  });
  HttpRequest request = get(net.server.url("/same"));
  request.redirects = 3;
  request.headers = {{"Authorization", "word", true}, {"X-Kept", "yes"}};
  auto response = net.fetch(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->body, "with secret");
  request.url = net.server.url("/other");
  response = net.fetch(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->body, "there");
  EXPECT_EQ(seen, (std::vector<std::string>{"plain", "kept"}));
}

TEST(HttpRedirect, NeverLeadsFromHttpsToHttp) {
  HttpRequest request = get("https://example.invalid/a");
  request.redirects = 1;
  EXPECT_FAILS(redirected(request, 302, "http://example.invalid/b"), ErrorKind::protocol);
  EXPECT_FAILS(redirected(request, 302, "file:///etc/hostname"), ErrorKind::protocol);
  auto relative = redirected(request, 302, "../c?d");
  ASSERT_OK(relative);
  EXPECT_EQ(relative->url, "https://example.invalid/c?d");
  EXPECT_FAILS(redirected(*relative, 302, "/again"), ErrorKind::protocol);
}

TEST(HttpTrace, HoldsNoSecrets) {
  EXPECT_EQ(redacted("Authorization: AWS4-HMAC-SHA256 Credential=x"), "Authorization: ***");
  EXPECT_EQ(redacted("x-amz-security-token: abc"), "x-amz-security-token: ***");
  EXPECT_EQ(redacted("Host: example.invalid"), "Host: example.invalid");
  EXPECT_EQ(redacted("GET /a:b?x=1&X-Amz-Signature=f00&y HTTP/1.1"), "GET /a:b?x=1&X-Amz-Signature=***&y HTTP/1.1");

  std::mutex mutex;
  std::string trace;
  HttpSettings settings;
  settings.trace = [&](std::string_view line) {
    std::lock_guard lock(mutex);
    trace.append(line).append("\n");
  };
  Net net(echo, settings);
  HttpRequest request = get(net.server.url("/traced"));
  request.headers = {{"Authorization", "hidden-word", true}};
  ASSERT_OK(net.fetch(request));
  std::lock_guard lock(mutex);
  EXPECT_NE(trace.find("> GET /traced HTTP/1.1"), std::string::npos) << trace;
  EXPECT_NE(trace.find("< HTTP/1.1 200"), std::string::npos) << trace;
  EXPECT_EQ(trace.find("hidden-word"), std::string::npos) << trace;
}

Task<void> one_get(HttpClient& client, std::string url, int& good) {
  auto response = co_await client.fetch(get(std::move(url)));
  if (response && response->head.status == 200) ++good;
}

Task<void> many_gets(Net& net, int count, int& good) {
  TaskGroup group;
  for (int i = 0; i < count; ++i) group.spawn(one_get(*net.client, net.server.url("/" + std::to_string(i)), good));
  co_await group.join();
}

TEST(HttpClient, HasManyRequestsUnderWay) {
  Net net(echo);
  int good = 0;
  net.loop.run(many_gets(net, 200, good));
  EXPECT_EQ(good, 200);
}

Task<void> drop_half_way(Net& net) {
  auto exchange = net.client->start(get(net.server.url("/flood")));
  CO_ASSERT_OK(co_await exchange->head());
  CO_ASSERT_OK(co_await exchange->read());
  exchange.reset();
  CO_ASSERT_VALUE(auto response, co_await net.client->fetch(get(net.server.url("/small"))));
  EXPECT_EQ(response.body, "small");
}

Task<void> sleep_briefly(Loop& loop) { (void)co_await loop.sleep(std::chrono::milliseconds(1)); }

TEST(HttpClient, ClosesWhatOthersStillHold) {
  std::promise<void> asked;
  std::promise<void> closed;
  Net net([&](const HttpServerRequest&, HttpServerConnection& connection) {
    asked.set_value();
    connection.wait_for_close();
    closed.set_value();
    return false;
  });
  const auto exchange = net.client->start(get(net.server.url("/")));
  net.loop.run(sleep_briefly(net.loop)); // the request goes out at the end of a turn
  asked.get_future().wait();
  net.client->close();
  EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST(HttpClient, CancelsWhatIsDropped) {
  Flood flood;
  Net net([&](const HttpServerRequest& request, HttpServerConnection& connection) {
    if (request.target == "/flood") return flood(request, connection);
    connection.respond(200, "", "small");
    return true;
  });
  net.loop.run(drop_half_way(net));
}

Task<void> start_and_drop(Net& net, std::future<void> asked) {
  auto exchange = net.client->start(get(net.server.url("/")));
  co_await net.loop.sleep(std::chrono::milliseconds(1)); // the request goes out at the end of a turn
  asked.wait();
  exchange.reset();
  CO_ASSERT_OK(co_await net.client->fetch(get(net.server.url("/small"))));
}

// The other thread waits only for requests: it must not overlook the new one while it cancels.
Task<void> drop_and_ask(Net& net, int rounds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds step{1};
  for (int i = 0; i < rounds; ++i) {
    auto dropped = net.client->start(get(net.server.url("/held")));
    co_await net.loop.sleep(step);
    dropped.reset();
    co_await net.loop.sleep(std::chrono::milliseconds(0)); // in a turn of its own, a little later each time
    for (const auto until = Clock::now() + std::chrono::microseconds(i); Clock::now() < until;) continue;
    auto asked = spawn(net.client->fetch(get(net.server.url("/small"))));
    for (auto waited = step; !asked.ready() && waited < std::chrono::seconds(20); waited += step)
      co_await net.loop.sleep(step);
    CO_ASSERT_TRUE(asked.ready());
    CO_ASSERT_OK(co_await asked.get());
  }
}

TEST(HttpClient, HearsOfARequestWhileItCancelsAnother) {
  Net net([](const HttpServerRequest& request, HttpServerConnection& connection) {
    if (request.target == "/small") {
      connection.respond(200, "", "small");
      return true;
    }
    connection.wait_for_close();
    return false;
  });
  net.loop.run(drop_and_ask(net, 200));
}

TEST(HttpClient, ClosesTheConnectionOfWhatIsDroppedBeforeItsAnswer) {
  std::promise<void> asked;
  std::promise<void> closed;
  Net net([&](const HttpServerRequest& request, HttpServerConnection& connection) {
    if (request.target == "/small") {
      connection.respond(200, "", "small");
      return true;
    }
    asked.set_value();
    connection.wait_for_close();
    closed.set_value();
    return false;
  });
  net.loop.run(start_and_drop(net, asked.get_future()));
  EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

} // namespace
} // namespace checkvalve
