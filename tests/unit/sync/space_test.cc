// A full target: what was begun is finished first, and what does not fit fails with its reason.
#include <fmt/format.h>

#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::second;
using testing_support::SyncFixture;

struct FullTarget {
  std::string name;
  std::vector<std::uint64_t> sizes_kib;
  std::uint64_t room_kib;
  std::uint64_t copied;
};

class Space : public SyncFixture, public ::testing::WithParamInterface<FullTarget> {};

TEST_P(Space, WhatFitsArrivesAlthoughAllFilesShareTheRoomWhileTheyAreWritten) {
  const FullTarget& row = GetParam();
  for (std::size_t i = 0; i < row.sizes_kib.size(); ++i)
    put(*source, fmt::format("in/{:02}", i), std::string(row.sizes_kib[i] << 10, 'x'), second);
  job.source.options["chunk_size"] = job.target.options["chunk_size"] = "64KiB";
  target->capacity_bytes = row.room_kib << 10;
  const auto ran = sync();
  ASSERT_OK(ran);
  EXPECT_EQ(ran->files_copied, row.copied);
  EXPECT_EQ(ran->files_failed, row.sizes_kib.size() - row.copied);
  for (const FailureRecord& failure : ran->failures) EXPECT_EQ(failure.error.kind, ErrorKind::no_space);
  EXPECT_TRUE(target->temporaries().empty());
  target->capacity_bytes.reset();
  EXPECT_EQ(sync()->files_copied, row.sizes_kib.size() - row.copied);
  expect_same_trees();
}

INSTANTIATE_TEST_SUITE_P(
    Targets, Space,
    ::testing::Values(FullTarget{"EqualFiles", std::vector<std::uint64_t>(8, 512), 4 * 512 + 300, 4},
                      FullTarget{"OneThatDoesNotFit", {2048, 512, 512, 512}, 1800, 3},
                      FullTarget{"NoneFits", {512, 512, 512}, 300, 0},
                      FullTarget{"MoreThanAreUnderWay", std::vector<std::uint64_t>(300, 128), 128 * 100 + 64, 100},
                      FullTarget{"FilesOfOneChunk", std::vector<std::uint64_t>(20, 32), 32 * 7 + 16, 7}),
    [](const auto& each) { return each.param.name; });

TEST_F(Space, AFileThatIsAloneIsNotTriedAgain) {
  put(*source, "in/a", std::string(1 << 20, 'x'), second);
  target->capacity_bytes = 1000;
  EXPECT_EQ(sync()->files_failed, 1U);
  EXPECT_TRUE(engine.events.of<RetryEvent>().empty());
}

TEST_F(Space, AStopEndsTheWaitForATurn) {
  for (const char* name : {"in/a", "in/b", "in/c"}) put(*source, name, std::string(1 << 20, 'x'), second);
  job.source.options["chunk_size"] = job.target.options["chunk_size"] = "64KiB";
  target->capacity_bytes = 1 << 20;
  int failures = 0;
  engine.events.on_event = [&](const EngineEvent& event) {
    if (std::holds_alternative<RetryEvent>(event) && ++failures == 2)
      cancellation.request(make_error(ErrorKind::interrupted, "stopped"));
  };
  const auto ran = sync();
  ASSERT_OK(ran);
  EXPECT_TRUE(ran->interrupted);
  EXPECT_TRUE(target->temporaries().empty());
}

} // namespace
} // namespace checkvalve
