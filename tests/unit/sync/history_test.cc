// HistoryCursor: finds each record whatever share of the history is asked for.
#include "sync/history.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

#include "support/awaited.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::SyncFixture;

const PairKey pair{"in", "out"};
constexpr std::uint64_t records = 5'000;

class History : public SyncFixture {
public:
  // Records of "f00000", "f00002", "f00004", … whose size is the number in the name.
  void SetUp() override {
    PlanRecord plan;
    plan.id = "p";
    std::vector<PlannedFile> files(records);
    std::vector<FileOutcome> outcomes(records);
    for (std::uint64_t i = 0; i < records; ++i) {
      files[i].number = outcomes[i].number = i + 1;
      files[i].batch = 1;
      files[i].path = name(2 * i);
      outcomes[i].size_bytes = 2 * i;
    }
    ASSERT_OK(awaited(store->plans.create(plan)));
    ASSERT_OK(awaited(store->plans.add_files("p", files)));
    ASSERT_OK(awaited(store->plans.finish(plan)));
    const auto answer = awaited(store->leases.take("p", 1, "w", std::chrono::hours(1)));
    ASSERT_OK(answer);
    ASSERT_OK(awaited(store->leases.checkpoint(*answer->lease, outcomes, HistoryScope{pair, ""})));
  }

  static std::string name(std::uint64_t number) { return fmt::format("f{:05}", number); }
};

TEST_F(History, EveryRecordIsFoundHoweverFewAreAskedFor) {
  for (const std::uint64_t step : {1U, 2U, 7U, 100U, 999U, 3'000U, 20'000U}) {
    Engine shared = parts();
    HistoryCursor cursor(shared, pair, std::chrono::hours(1));
    for (std::uint64_t number = step % 5; number < 2 * records + 2 * step; number += step) {
      const auto found = engine.run(cursor.find(name(number)));
      ASSERT_OK(found);
      const bool recorded = number % 2 == 0 && number < 2 * records;
      ASSERT_EQ(*found != nullptr, recorded) << "step " << step << ", " << name(number);
      if (recorded) EXPECT_EQ((*found)->size_bytes, number);
    }
  }
}

TEST_F(History, PathsBetweenTheRecordsHaveNone) {
  Engine shared = parts();
  HistoryCursor cursor(shared, pair, std::chrono::hours(1));
  for (const std::string path : {"a", "f00000 ", "f00001", "f09998a", "g"})
    EXPECT_EQ(engine.run(cursor.find(path)).value(), nullptr) << path;
}

// Only what is asked for, and only after half of the time that it is kept for.
TEST_F(History, WhatIsAskedForStays) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(state_path().c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "UPDATE cv_published SET used_ms = used_ms - 2000000", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(handle);
  const auto ask = [&](std::chrono::milliseconds keep) {
    Engine shared = parts();
    HistoryCursor cursor(shared, pair, keep);
    for (std::uint64_t number = 0; number < 1'000; number += 2)
      EXPECT_NE(engine.run(cursor.find(name(number))).value(), nullptr);
    EXPECT_OK(engine.run(cursor.finish()));
  };
  const auto touched = [&] {
    const auto page = awaited(store->history.page(pair, "", records)).value();
    return std::ranges::count_if(page, [](const HistoryRecord& record) { return record.unused_ms < 1'000'000; });
  };
  ask(std::chrono::milliseconds(4'100'000));
  EXPECT_EQ(touched(), 0);
  ask(std::chrono::milliseconds(3'900'000));
  EXPECT_EQ(touched(), 500);
  ASSERT_OK(awaited(store->history.prune(std::chrono::milliseconds(1'000'000))));
  EXPECT_EQ(awaited(store->history.page(pair, "", records))->size(), 500U);
}

} // namespace
} // namespace checkvalve
