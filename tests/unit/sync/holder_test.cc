#include "sync/holder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "unit/sync/ended_holder.h"

namespace checkvalve {
namespace {

using testing_support::ended_holder;

TEST(Holder, TellsTheLivingFromTheGone) {
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

TEST(Holder, ShowsHostAndNumberToPeople) {
  EXPECT_TRUE(shown_holder(this_holder()).ends_with(":" + std::to_string(::getpid())));
}

} // namespace
} // namespace checkvalve
