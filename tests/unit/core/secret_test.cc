#include "core/secret.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

TEST(Secret, IsGivenOnlyOnRequestAndWipedWhenMoved) {
  Secret first(std::string("hunter2"));
  EXPECT_EQ(first.reveal(), "hunter2");
  Secret second = std::move(first);
  EXPECT_TRUE(first.empty()); // NOLINT(bugprone-use-after-move): a moved-from secret is wiped
  EXPECT_EQ(second.reveal(), "hunter2");
  const Secret copy = second;
  second = Secret();
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(copy.reveal(), "hunter2");
}

} // namespace
} // namespace checkvalve
