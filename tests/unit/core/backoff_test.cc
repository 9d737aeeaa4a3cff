#include "core/backoff.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, LimitGrowsByTheFactorUpToTheMaximum) {
  const Backoff doubling{.initial = milliseconds(500), .max = milliseconds(30'000)};
  const Backoff slow{.initial = milliseconds(100), .max = milliseconds(200), .factor = 1.5};
  const struct {
    const Backoff& backoff;
    std::uint32_t retry;
    milliseconds limit;
  } cases[] = {
      {doubling, 1, milliseconds(500)},
      {doubling, 2, milliseconds(1'000)},
      {doubling, 6, milliseconds(16'000)},
      {doubling, 7, milliseconds(30'000)},
      {doubling, 4'000'000'000, milliseconds(30'000)},
      {slow, 1, milliseconds(100)},
      {slow, 2, milliseconds(150)},
      {slow, 3, milliseconds(200)},
  };
  for (const auto& [backoff, retry, limit] : cases) EXPECT_EQ(backoff.limit(retry), limit) << retry;
}

TEST(Backoff, DelayIsSpreadFromNothingToTheLimit) {
  const Backoff backoff{.initial = milliseconds(1'000), .max = milliseconds(1'000)};
  int low = 0;
  int high = 0;
  for (int i = 0; i < 1'000; ++i) {
    const milliseconds delay = backoff.delay(1);
    EXPECT_GE(delay, milliseconds(0));
    EXPECT_LE(delay, milliseconds(1'000));
    low += delay < milliseconds(250) ? 1 : 0;
    high += delay > milliseconds(750) ? 1 : 0;
  }
  EXPECT_GT(low, 100); // a quarter is expected
  EXPECT_GT(high, 100);
}

TEST(Backoff, DelayIsAtLeastWhatTheServerAskedFor) {
  const Backoff backoff{.initial = milliseconds(10), .max = milliseconds(10)};
  EXPECT_EQ(backoff.delay(1, milliseconds(5'000)), milliseconds(5'000));
}

} // namespace
} // namespace checkvalve
