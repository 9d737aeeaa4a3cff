// What PartsUploader shares: memory for parts, the pace of requests, their tries.
#include <gtest/gtest.h>

#include "backends/object_store/part_memory.h"
#include "backends/object_store/request_pacer.h"
#include "support/run.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

Task<bool> growth(PartMemory::Share& share, std::uint64_t bytes) {
  co_await share.grow(bytes);
  co_return true;
}

TEST(PartMemory, WaitsAtTheLimitUntilBytesComeBack) {
  Loop loop;
  loop.run([]() -> Task<void> {
    auto memory = std::make_shared<PartMemory>(100);
    PartMemory::Share first(memory, 1);
    PartMemory::Share second(memory, 2);
    co_await first.grow(100);
    first.expect_back(100); // a part that is being sent
    auto grown = spawn(growth(second, 60));
    EXPECT_TRUE(grown.ready()) << "one file may exceed the limit";
    second.expect_back(60);
    auto waiting = spawn(growth(first, 10));
    EXPECT_FALSE(waiting.ready()) << "its memory comes back without any more of it";
    first.shrink(100);
    co_await waiting.get();
    EXPECT_EQ(memory->used_bytes(), 70U);
  }());
}

TEST(PartMemory, OutputsOfOneFileDoNotWaitForEachOther) {
  Loop loop;
  loop.run([]() -> Task<void> {
    auto memory = std::make_shared<PartMemory>(100);
    PartMemory::Share one(memory, 1);
    PartMemory::Share other(memory, 1);
    PartMemory::Share stranger(memory, 2);
    co_await one.grow(150);
    co_await other.grow(50);
    auto waiting = spawn(growth(stranger, 1));
    EXPECT_FALSE(waiting.ready());
    other.shrink(50);
    one.shrink(150);
    co_await waiting.get();
    EXPECT_EQ(memory->used_bytes(), 1U);
  }());
}

TEST(PartMemory, IsGivenBackAtTheEnd) {
  Loop loop;
  loop.run([]() -> Task<void> {
    auto memory = std::make_shared<PartMemory>(100);
    {
      PartMemory::Share share(memory, 1);
      co_await share.grow(70);
    }
    EXPECT_EQ(memory->used_bytes(), 0U);
  }());
}

struct PacerCase {
  const char* name;
  int answered;
  int refused;
  double rate; // requests a second; 0: no limit
};

class PacerRates : public testing::TestWithParam<PacerCase> {};

TEST_P(PacerRates, FollowWhatAServiceAdmits) {
  RequestPacer pacer;
  const RequestPacer::Clock::time_point now{std::chrono::hours(1)};
  for (int i = 0; i < GetParam().answered; ++i) pacer.succeeded(now);
  for (int i = 0; i < GetParam().refused; ++i) pacer.throttled({}, now);
  EXPECT_DOUBLE_EQ(pacer.rate(now), GetParam().rate);
}

INSTANTIATE_TEST_SUITE_P(Pacer, PacerRates,
                         testing::Values(PacerCase{"never_throttled", 1'000, 0, 0}, //
                                         PacerCase{"a_blip", 40, 2, 0},             //
                                         PacerCase{"few_among_many", 1'000, 10, 0}, //
                                         PacerCase{"four_fifths_of_the_answered", 40, 30, 32},
                                         PacerCase{"never_below_the_least", 0, 30, 4}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Pacer, ItsRateGrowsUntilThereIsNoLimit) {
  RequestPacer pacer;
  const RequestPacer::Clock::time_point now{std::chrono::hours(1)};
  for (int i = 0; i < 100; ++i) pacer.succeeded(now);
  for (int i = 0; i < 30; ++i) pacer.throttled({}, now);
  EXPECT_DOUBLE_EQ(pacer.rate(now), 80);
  EXPECT_GT(pacer.rate(now + std::chrono::seconds(2)), 80);
  EXPECT_LT(pacer.rate(now + std::chrono::seconds(2)), 100);
  EXPECT_DOUBLE_EQ(pacer.rate(now + std::chrono::hours(1)), 0);
}

TEST(Retries, EndUnlessOthersSucceed) {
  RequestPacer pacer;
  const Error busy = transient_error(ErrorKind::io, "put", "a", "SlowDown");
  const auto tries = [&](bool throttled, bool others_succeed) {
    Retries retries(pacer, 5);
    int tries = 1;
    for (; retries.after(busy, throttled); ++tries)
      if (others_succeed) pacer.succeeded();
    return tries;
  };
  EXPECT_EQ(tries(false, false), 5);
  EXPECT_EQ(tries(false, true), 5);
  EXPECT_EQ(tries(true, false), 5);
  EXPECT_GT(tries(true, true), 50);
}

TEST(Retries, TakeOneMoreAfterATimeout) {
  RequestPacer pacer;
  Retries retries(pacer, 5);
  const Error silent = make_error(ErrorKind::timeout, "put", "a", "no answer");
  EXPECT_TRUE(retries.after(silent, false).has_value());
  EXPECT_FALSE(retries.after(silent, false).has_value());
  EXPECT_FALSE(Retries(pacer, 5).after(make_error(ErrorKind::permission, "put", "a", "denied"), false).has_value());
}

TEST(RetryAfter, IsSecondsOrADate) {
  constexpr std::int64_t now_s = 1'709'296'496; // Fri, 01 Mar 2024 12:34:56 GMT
  const std::pair<const char*, int> cases[] = {
      {"", 0}, {"3", 3}, {"-1", 0}, {"soon", 0}, {"Fri, 01 Mar 2024 12:35:26 GMT", 30}, {"999999", 3'600}};
  for (const auto& [text, seconds] : cases)
    EXPECT_EQ(read_retry_after(text, now_s), std::chrono::seconds(seconds)) << text;
}

} // namespace
} // namespace checkvalve
