#include "cli/session.h"

#include <gtest/gtest.h>

#include <csignal>

#include "cli/exit_code.h"

namespace checkvalve {
namespace {

Task<int> signalled(Session& session, int number, int code) {
  std::raise(number);
  while (!session.stop().requested()) co_await Loop::current()->sleep(std::chrono::milliseconds(1));
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

} // namespace
} // namespace checkvalve
