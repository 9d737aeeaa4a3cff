#include "cli/session.h"

#include <gtest/gtest.h>

#include <csignal>

#include "cli/exit_code.h"

namespace checkvalve {
namespace {

Task<int> signalled(Session& session, int number, int code) {
  std::raise(number);
  while (!session.cancellation().requested()) co_await Loop::current()->sleep(std::chrono::milliseconds(1));
  co_return code;
}

int code_after(int number, int code) {
  const ProcessOptions options;
  Session session("sync", options);
  return session.run(signalled(session, number, code));
}

TEST(Session, ASignalThatEndedTheWorkIsTheExitCode) {
  EXPECT_EQ(code_after(SIGTERM, exit_code::interrupted), 143);
  EXPECT_EQ(code_after(SIGINT, exit_code::interrupted), 130);
  EXPECT_EQ(code_after(SIGTERM, exit_code::endpoint), 143) << "the ends were closed under it";
}

TEST(Session, ASignalThatCameWhenAllWasDoneChangesNothing) {
  EXPECT_EQ(code_after(SIGTERM, exit_code::success), 0);
  EXPECT_EQ(code_after(SIGINT, exit_code::incomplete), 1);
}

// The run is ending because an endpoint is gone, and removes its temporaries.
Task<int> interrupted_at_its_end(Session& session) {
  session.cancellation().request(make_error(ErrorKind::connection, "", "", "gone"));
  std::raise(SIGINT);
  co_await Loop::current()->sleep(std::chrono::milliseconds(1)); // the loop's next turn handles the signal
  co_return exit_code::endpoint;
}

TEST(Session, OnlyTheSecondCtrlCEndsItAtOnce) {
  const ProcessOptions options;
  Session session("sync", options);
  EXPECT_EQ(session.run(interrupted_at_its_end(session)), 130);
}

} // namespace
} // namespace checkvalve
