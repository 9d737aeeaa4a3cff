// SftpSession against servers that lie: a transport in memory, scripted by the test.
#include "protocol/sftp_session.h"

#include <gtest/gtest.h>

#include <functional>

#include "support/run.h"
#include "support/scripted_server.h"

namespace checkvalve {
namespace {

using namespace std::chrono_literals;

using namespace testing_support;

class SftpSessionTest : public testing::Test {
protected:
  TestEngine engine;
  ScriptedServer server;
  SftpSessionOptions options;

  Task<Result<std::shared_ptr<SftpSession>>> open() {
    return SftpSession::open(engine.loop, std::make_unique<ScriptedTransport>(server), "server", options);
  }
};

#define SESSION_TEST(Name)                                                                                             \
  class Name##Case : public SftpSessionTest {                                                                          \
  public:                                                                                                              \
    Task<void> body();                                                                                                 \
  };                                                                                                                   \
  TEST_F(Name##Case, Runs) { engine.run(body()); }                                                                     \
  Task<void> Name##Case::body()

SESSION_TEST(FindsTheLoginDirectory) {
  CO_ASSERT_VALUE(auto session, co_await open());
  CO_ASSERT_VALUE(const std::string home, session->login_directory());
  EXPECT_EQ(home, "/home/u");
  EXPECT_EQ(session->limits().read_bytes, 32u * 1024);
}

SESSION_TEST(TakesLimitsAndIgnoresOtherVersionsOfExtensions) {
  server.version += text("limits@openssh.com") + text("1") + text("posix-rename@openssh.com") + text("2");
  server.on_request = [](ScriptedServer& s, const Request& r) {
    s.answer(reply(PacketType::extended_reply, r.id,
                   u32(0) + u32(262144) + u32(0) + u32(261120) + u32(0xFFFFFFFF) + u32(0) + u32(0) + u32(100)));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_EQ(session->limits().read_bytes, 261'120u);
  EXPECT_EQ(session->limits().write_bytes, 1024u * 1024) << "a limit of exabytes is cut to what one buffer holds";
  EXPECT_EQ(session->limits().open_handles, 100u);
  EXPECT_FALSE(session->has("posix-rename@openssh.com"));
}

SESSION_TEST(LimitsMayBeAdvertisedAndRefused) {
  server.version += text("limits@openssh.com") + text("1");
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(status(r.id, StatusCode::op_unsupported)); };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_EQ(session->limits().read_bytes, 32u * 1024);
  EXPECT_FALSE(session->has("limits@openssh.com"));
}

SESSION_TEST(RefusesOlderVersions) {
  server.version = static_cast<char>(PacketType::version) + u32(2);
  EXPECT_FAILS(co_await open(), ErrorKind::protocol);
}

SESSION_TEST(ThatNeverGreetsTimesOut) {
  server.version.clear();
  options.connect_timeout = 20ms;
  EXPECT_FAILS(co_await open(), ErrorKind::timeout);
  EXPECT_TRUE(server.shut_down);
}

SESSION_TEST(MatchesRepliesInAnyOrder) {
  server.on_request = [](ScriptedServer& s, const Request&) {
    if (s.requests.size() < 3) return;
    std::vector<std::string> frames;
    for (std::uint32_t i = 3; i-- > 0;)
      frames.push_back(reply(PacketType::attrs, s.requests[i].id, u32(1) + u32(0) + u32(i)));
    s.answer_all(std::move(frames));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  const std::size_t before = server.sends;
  std::vector<JoinHandle<Result<FileAttributes>>> calls;
  for (const char* path : {"/0", "/1", "/2"}) calls.push_back(spawn(session->stat(path)));
  for (std::uint32_t i = 0; i < 3; ++i) {
    CO_ASSERT_VALUE(const auto attributes, co_await calls[i].get());
    EXPECT_EQ(attributes.size_bytes, i);
  }
  EXPECT_EQ(server.sends, before + 1) << "requests of one loop turn go out together";
}

SESSION_TEST(RequestsBeyondTheLimitWaitForReplies) {
  options.requests_in_flight = 2;
  std::size_t answered = 0;
  server.on_request = [&](ScriptedServer& s, const Request& r) {
    EXPECT_LE(s.requests.size(), answered + 2);
    ++answered;
    s.answer(reply(PacketType::attrs, r.id, u32(1) + u32(0) + u32(static_cast<std::uint32_t>(answered))));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  std::vector<JoinHandle<Result<FileAttributes>>> calls;
  for (int i = 0; i < 7; ++i) calls.push_back(spawn(session->stat("/a")));
  for (std::uint32_t i = 0; i < 7; ++i) {
    CO_ASSERT_VALUE(const auto attributes, co_await calls[i].get());
    EXPECT_EQ(attributes.size_bytes, i + 1) << "out of order";
  }
}

SESSION_TEST(AReplyToNoRequestEndsIt) {
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(status(r.id + 1000, StatusCode::ok)); };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(co_await session->stat("/a"), ErrorKind::protocol);
  EXPECT_FALSE(session->alive());
  EXPECT_TRUE(server.shut_down);
  EXPECT_FAILS(co_await session->stat("/b"), ErrorKind::protocol);
}

SESSION_TEST(AWrongReplyTypeEndsIt) {
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(reply(PacketType::handle, r.id, text("h"))); };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(co_await session->stat("/a"), ErrorKind::protocol);
  EXPECT_FALSE(session->alive());
}

SESSION_TEST(MoreDataThanAskedForEndsIt) {
  server.on_request = [](ScriptedServer& s, const Request& r) {
    s.answer(reply(PacketType::data, r.id, text("0123456789")));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(co_await session->read("h", 0, 5), ErrorKind::protocol);
}

SESSION_TEST(ADataLengthOfFourGigabytesEndsIt) {
  server.on_request = [](ScriptedServer& s, const Request& r) {
    s.answer(reply(PacketType::data, r.id, u32(0xFFFFFFFF) + "x"));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(co_await session->read("h", 0, 5), ErrorKind::protocol);
}

SESSION_TEST(AnEmptyPageOfNamesIsTheEndOfTheDirectory) {
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(reply(PacketType::name, r.id, u32(0))); };
  CO_ASSERT_VALUE(auto session, co_await open());
  CO_ASSERT_VALUE(const NamePage page, co_await session->read_directory("h"));
  EXPECT_TRUE(page.at_end());
  EXPECT_TRUE(session->alive());
}

SESSION_TEST(APageOfNamesWithoutACountEndsIt) {
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(reply(PacketType::name, r.id, "\1")); };
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(co_await session->read_directory("h"), ErrorKind::protocol);
}

SESSION_TEST(OpensWithoutALoginDirectory) {
  server.login_directory = status(0, StatusCode::permission_denied).substr(5);
  CO_ASSERT_VALUE(auto session, co_await open());
  EXPECT_FAILS(session->login_directory(), ErrorKind::permission);
}

SESSION_TEST(ALostConnectionFailsAllCalls) {
  server.on_request = [](ScriptedServer& s, const Request&) {
    if (s.requests.size() == 2) s.lose(make_error(ErrorKind::connection, "talk to", "server", "gone"));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto first = spawn(session->stat("/a"));
  auto second = spawn(session->stat("/b"));
  const auto one = co_await first.get();
  EXPECT_FAILS(one, ErrorKind::connection);
  if (!one) EXPECT_TRUE(one.error().transient());
  EXPECT_FAILS(co_await second.get(), ErrorKind::connection);
}

SESSION_TEST(ALostConnectionFailsCallsThatWaitForTheirTurn) {
  options.requests_in_flight = 1;
  server.on_request = [](ScriptedServer& s, const Request&) {
    s.lose(make_error(ErrorKind::connection, "talk to", "server", "gone"));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto sent = spawn(session->stat("/a"));
  auto waiting = spawn(session->stat("/b"));
  EXPECT_FAILS(co_await sent.get(), ErrorKind::connection);
  EXPECT_FAILS(co_await waiting.get(), ErrorKind::connection);
  EXPECT_EQ(server.requests.size(), 1u);
}

SESSION_TEST(OneReplyThatNeverComesTimesOutThoughOthersDo) {
  options.stall_timeout = 20ms;
  server.on_request = [](ScriptedServer& s, const Request& r) {
    if (r.type == PacketType::stat) s.answer(reply(PacketType::attrs, r.id, u32(0)));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto forgotten = spawn(session->lstat("/a"));
  while (session->alive()) {
    (void)co_await session->stat("/b");
    co_await engine.loop.sleep(1ms);
  }
  const auto result = co_await forgotten.get();
  EXPECT_FAILS(result, ErrorKind::timeout);
  if (!result) EXPECT_TRUE(result.error().transient());
}

SESSION_TEST(RepliesInTheirOrderMayTakeLongerThanAStall) {
  options.stall_timeout = 40ms;
  std::vector<std::uint32_t> ids;
  server.on_request = [&](ScriptedServer&, const Request& r) { ids.push_back(r.id); };
  CO_ASSERT_VALUE(auto session, co_await open());
  std::vector<JoinHandle<Result<FileAttributes>>> calls;
  for (int i = 0; i < 12; ++i) calls.push_back(spawn(session->stat("/a")));
  for (std::size_t i = 0; i < calls.size(); ++i) { // a slow line
    co_await engine.loop.sleep(options.stall_timeout / 4);
    server.answer(reply(PacketType::attrs, ids[i], u32(0)));
  }
  for (auto& call : calls) EXPECT_OK(co_await call.get());
  EXPECT_TRUE(session->alive());
}

SESSION_TEST(WorkOnAWholeFileMayTakeLongerWhileOthersAreAnswered) {
  options.stall_timeout = 20ms;
  std::uint32_t closing = 0;
  server.on_request = [&](ScriptedServer& s, const Request& r) {
    if (r.type == PacketType::close) closing = r.id;
    if (r.type == PacketType::stat) s.answer(reply(PacketType::attrs, r.id, u32(0)));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto closed = spawn(session->close_handle("h"));
  const auto until = std::chrono::steady_clock::now() + 3 * options.stall_timeout; // longer than a stall may be
  while (std::chrono::steady_clock::now() < until) {
    EXPECT_OK(co_await session->stat("/b"));
    co_await engine.loop.sleep(1ms);
  }
  server.answer(status(closing, StatusCode::ok));
  EXPECT_OK(co_await closed.get());
}

SESSION_TEST(WorkOnALargeFileMayBeSilent) {
  options.stall_timeout = 20ms;
  std::uint32_t closing = 0;
  server.on_request = [&](ScriptedServer&, const Request& r) {
    if (r.type == PacketType::close) closing = r.id;
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto closed = spawn(session->close_handle("h", 10s));
  auto behind = spawn(session->stat("/b")); // waits for the CLOSE, as in a server that takes them in turn
  co_await engine.loop.sleep(5 * options.stall_timeout);
  server.answer(status(closing, StatusCode::ok));
  EXPECT_OK(co_await closed.get());
  EXPECT_TRUE(session->alive());
  EXPECT_FAILS(co_await behind.get(), ErrorKind::timeout) << "the rest may take no longer than the stall timeout";
}

SESSION_TEST(AServerThatStopsAnsweringTimesOut) {
  options.stall_timeout = 20ms;
  CO_ASSERT_VALUE(auto session, co_await open());
  const auto result = co_await session->stat("/a");
  EXPECT_FAILS(result, ErrorKind::timeout);
  if (!result) EXPECT_TRUE(result.error().transient());
  EXPECT_FALSE(session->alive());
}

SESSION_TEST(AnIdleSessionDoesNotTimeOut) {
  options.stall_timeout = 20ms;
  server.on_request = [](ScriptedServer& s, const Request& r) { s.answer(reply(PacketType::attrs, r.id, u32(0))); };
  CO_ASSERT_VALUE(auto session, co_await open());
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(co_await session->stat("/a"));
    co_await engine.loop.sleep(options.stall_timeout + 5ms); // idle for longer than a stall may be
  }
  EXPECT_TRUE(session->alive());
}

SESSION_TEST(FailureOnAFullDiskIsNoSpace) {
  server.version += text("statvfs@openssh.com") + text("2");
  server.on_request = [](ScriptedServer& s, const Request& r) {
    if (r.type != PacketType::extended) return s.answer(status(r.id, StatusCode::failure));
    std::string body;
    for (std::uint32_t field : {4096, 4096, 1000, 0, 0, 500, 400, 400, 0, 0, 255}) body += u32(0) + u32(field);
    s.answer(reply(PacketType::extended_reply, r.id, body));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  auto written = co_await session->write("h", 0, Chunk::copy_of("x"));
  EXPECT_FAILS(written, ErrorKind::io);
  if (!written) EXPECT_EQ((co_await session->diagnose(written.error(), "/")).kind, ErrorKind::no_space);
}

SESSION_TEST(MapsStatusCodes) {
  const std::vector<std::pair<StatusCode, ErrorKind>> expected = {
      {StatusCode::no_such_file, ErrorKind::not_found},
      {StatusCode::permission_denied, ErrorKind::permission},
      {StatusCode::failure, ErrorKind::io},
      {StatusCode::op_unsupported, ErrorKind::unsupported},
      {StatusCode::file_already_exists, ErrorKind::exists},
      {StatusCode::no_space_on_filesystem, ErrorKind::no_space},
      {StatusCode::quota_exceeded, ErrorKind::no_space},
      {StatusCode::connection_lost, ErrorKind::connection},
      {StatusCode::bad_message, ErrorKind::invalid_name},
      {static_cast<StatusCode>(4711), ErrorKind::io},
  };
  server.on_request = [&](ScriptedServer& s, const Request& r) {
    s.answer(status(r.id, expected[s.requests.size() - 1].first));
  };
  CO_ASSERT_VALUE(auto session, co_await open());
  for (const auto& [code, kind] : expected)
    EXPECT_FAILS(co_await session->remove("/a\nb"), kind) << static_cast<int>(code);
}

} // namespace
} // namespace checkvalve
