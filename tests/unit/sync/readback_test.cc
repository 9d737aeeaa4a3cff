// --verify readback: only what was read back counts as done.
#include <fmt/format.h>

#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::second;
using testing_support::SyncFixture;

class Readback : public SyncFixture {};

TEST_F(Readback, WhatReadsBackOtherwiseIsCopiedAgainByTheNextRun) {
  put(*source, "in/file", "what was read", second);
  put(*source, "in/other", "other", second);
  job.verify = VerifyMode::readback;
  job.retries = 1;
  target->corrupts_uploads = true;
  ASSERT_EQ(sync()->files_failed, 2U);
  target->corrupts_uploads = false;
  job.verify = VerifyMode::size; // also where the next one does not look
  EXPECT_EQ(sync()->files_copied, 2U);
  expect_same_trees();
  EXPECT_EQ(sync()->files_copied, 0U);
}

// As after a crash between the two.
TEST_F(Readback, WhatWasPublishedButNotReadBackIsCopiedAgainByTheNextRun) {
  put(*source, "in/a", "alpha", second);
  put(*source, "in/b", "beta", second);
  job.verify = VerifyMode::readback;
  target->deny("out/a");
  const auto ran = sync();
  ASSERT_OK(ran);
  EXPECT_EQ(ran->files_copied, 1U);
  ASSERT_EQ(ran->files_failed, 1U);
  EXPECT_EQ(ran->failures.at(0).error.kind, ErrorKind::permission);
  ASSERT_TRUE(target->find("out/a"));
  put(*target, "out/a", "alphA", second);
  job.verify = VerifyMode::size; // also where the next one does not look
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Readback, WhatWasReadBackLeavesNoRecords) {
  fill();
  job.verify = VerifyMode::readback;
  EXPECT_EQ(sync()->files_copied, 5U);
  EXPECT_TRUE(awaited(store->history.page(identities(job).value(), "", 10))->empty());
  put(*target, "out/a.txt", "ALPHA", 1'001 * second); // a record would let it pass for up to date
  EXPECT_EQ(sync()->files_copied, 1U);
}

// What a killed worker has published may not be what it wrote.
TEST_F(Readback, ATakeoverWithReadbackTrustsNothingThatItHasNotRead) {
  for (const OnConflict on_conflict : {OnConflict::overwrite, OnConflict::skip, OnConflict::fail}) {
    const std::string path = fmt::format("{}", static_cast<int>(on_conflict));
    job.verify = VerifyMode::readback;
    job.on_conflict = on_conflict;
    job.retries = 0;
    put(*source, "in/good" + path, "aaaa", second);
    put(*source, "in/torn" + path, "bbbb", second);
    auto planned = plan();
    ASSERT_OK(planned);
    ASSERT_TRUE(awaited(store->leases.take(planned->plan, 1, "dead", std::chrono::milliseconds(0)))->lease);
    put(*target, "out/good" + path, "aaaa", second);
    put(*target, "out/torn" + path, "bbbB", second);
    const auto ran = run(planned->plan);
    ASSERT_OK(ran);
    EXPECT_EQ(ran->files_skipped, 0U);
    if (on_conflict == OnConflict::overwrite) {
      EXPECT_EQ(ran->files_copied, 2U);
      EXPECT_EQ(ran->files_failed, 0U);
    } else { // the name is not to be taken from what has it, but that it is whole is seen
      EXPECT_EQ(ran->files_copied, 1U);
      ASSERT_EQ(ran->files_failed, 1U);
      EXPECT_EQ(ran->failures.at(0).path, "torn" + path);
      EXPECT_EQ(ran->failures.at(0).error.kind, ErrorKind::integrity);
      put(*target, "out/torn" + path, "bbbb", second);
    }
    expect_same_trees();
  }
}

TEST_F(Readback, WhatIsInDoubtAndMayNotBeReplacedIsReadBeforeItIsAConflict) {
  put(*source, "in/good", "aaaa", second);
  put(*source, "in/torn", "bbbb", second);
  job.verify = VerifyMode::readback;
  const auto planned = plan();
  ASSERT_OK(planned);
  const auto dead = awaited(store->leases.take(planned->plan, 1, "dead", std::chrono::milliseconds(0)))->lease;
  ASSERT_TRUE(dead);
  ASSERT_OK(awaited(store->leases.doubt_batch(*dead, identities(job).value())));
  put(*target, "out/good", "aaaa", second);
  put(*target, "out/torn", "bbbB", second);
  job.on_conflict = OnConflict::fail;
  const auto next = plan();
  ASSERT_OK(next);
  EXPECT_EQ(next->files_skipped, 1U);
  ASSERT_EQ(next->failures.size(), 1U);
  EXPECT_EQ(next->failures[0].path, "torn");
  EXPECT_EQ(next->failures[0].error.kind, ErrorKind::exists);
}

TEST_F(Readback, WhatReadsBackOtherwiseIsNeverTakenForPublished) {
  job.verify = VerifyMode::readback;
  job.target.options["atomic_replace"] = "no";
  put(*source, "in/a", "alpha", second);
  target->change_at_read("out/a", 1, "alphA", second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_skipped, 0U);
  ASSERT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::integrity);
}

} // namespace
} // namespace checkvalve
