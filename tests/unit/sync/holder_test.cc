#include "sync/holder.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/sync/ended_holder.h"

namespace checkvalve {
namespace {

using testing_support::ended_holder;

TEST(Holder, DistinguishesTheLivingFromTheGone) {
  EXPECT_FALSE(is_gone(this_holder()));
  EXPECT_TRUE(is_gone(ended_holder()));
  EXPECT_TRUE(is_gone(ended_holder(false)));
}

TEST(Holder, DoesNotJudgeOtherMachinesBootsAndNames) {
  const std::string gone = ended_holder();
  EXPECT_FALSE(is_gone("elsewhere" + gone));
  std::string other_boot = gone;
  other_boot[gone.find('@') + 1] = 'x';
  EXPECT_FALSE(is_gone(other_boot));
  EXPECT_FALSE(is_gone("host:1"));
  EXPECT_FALSE(is_gone(""));
}

TEST(Holder, ANumberThatWasGivenToANewProcessIsNotTheOldOne) {
  std::string reborn = this_holder();
  reborn += "1"; // another start time
  EXPECT_TRUE(is_gone(reborn));
}

TEST(Holder, AnotherUsersProcessThatProcHidesIsNotGone) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting /proc again takes root";
  enum Outcome { not_gone, gone, no_mount };
  const std::string root = this_holder();
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr unsigned nobody = 65534;
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0 &&
                         ::mount("proc", "/proc", "proc", 0, "hidepid=2") == 0;
    if (!mounted || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(no_mount);
    ::_exit(is_gone(root) ? gone : not_gone);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == no_mount) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(WEXITSTATUS(status), not_gone);
}

TEST(Holder, ShowsHostAndNumberToPeople) {
  EXPECT_TRUE(shown_holder(this_holder()).ends_with(":" + std::to_string(::getpid())));
}

} // namespace
} // namespace checkvalve
