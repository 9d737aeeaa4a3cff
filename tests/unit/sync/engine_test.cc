// The engine end to end, over stores in memory that fail on request.
#include <fmt/format.h>

#include <thread>

#include "backends/orphans.h"
#include "core/units.h"
#include "unit/sync/ended_holder.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::second;
using testing_support::SyncFixture;

class Sync : public SyncFixture {};

TEST_F(Sync, CopiesTheTreeAndThenMovesNothing) {
  fill();
  auto first = sync();
  ASSERT_OK(first);
  EXPECT_EQ(first->files_copied, 5U);
  EXPECT_EQ(first->files_failed, 0U);
  EXPECT_FALSE(first->ended_by);
  expect_same_trees();
  EXPECT_EQ(target->find("out/a.txt")->mtime_ns, 1'000 * second);

  const auto read_before = source->bytes_read;
  auto again = sync();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_copied, 0U);
  EXPECT_EQ(again->files_skipped, 5U);
  EXPECT_EQ(source->bytes_read, read_before);
}

TEST_F(Sync, KeepsWhatIsGoneAtTheSourceAndCarriesWhatChanged) {
  fill();
  ASSERT_OK(sync());
  source->remove("in/a.txt");
  put(*source, "in/empty", "no more", 6'000 * second);
  auto again = sync();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_copied, 1U);
  EXPECT_EQ(*target->find("out/a.txt")->content, "alpha");
  EXPECT_EQ(*target->find("out/empty")->content, "no more");
}

TEST_F(Sync, SameSizeAndTimeNeedChecksum) {
  fill();
  ASSERT_OK(sync());
  put(*source, "in/a.txt", "ALPHA", 1'000 * second);
  EXPECT_EQ(sync()->files_copied, 0U);
  job.checksum = true;
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

TEST_F(Sync, AFileThatShrinksWhileItsContentIsComparedFailsAlone) {
  fill();
  ASSERT_OK(sync());
  job.checksum = true;
  source->change_at_read("in/a.txt", 1, "al", 1'001 * second);
  auto done = sync();
  ASSERT_OK(done);
  ASSERT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::changed);
  EXPECT_EQ(done->files_skipped, 4U);
}

TEST_F(Sync, RemembersInTheStateWhatTheTargetCannotShow) {
  job.target.options["keeps_mtime"] = "no";
  fill();
  EXPECT_EQ(sync()->files_copied, 5U);
  EXPECT_EQ(sync()->files_copied, 0U);
  put(*source, "in/a.txt", "ALPHA", 1'001 * second);
  EXPECT_EQ(sync()->files_copied, 1U);
  put(*target, "out/empty", "meddled with");
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

TEST_F(Sync, AFileThatChangesWhileItIsReadIsNeverPublishedHalfOld) {
  put(*source, "in/moving", std::string(2 << 20, 'a'), 1'000 * second);
  source->change_at_read("in/moving", 3, std::string(2 << 20, 'b'), 1'001 * second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 1U);
  EXPECT_EQ(*target->find("out/moving")->content, std::string(2 << 20, 'b'));
  EXPECT_FALSE(engine.events.of<RetryEvent>().empty());
  expect_same_trees();
}

TEST_F(Sync, AFileThatShrinksIsTriedAgain) {
  put(*source, "in/moving", std::string(2 << 20, 'a'), 1'000 * second);
  source->change_at_read("in/moving", 2, "short", 1'001 * second);
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

TEST_F(Sync, UnreadableAndUnwritableFilesFailAlone) {
  fill();
  put(*source, "in/secret", "secret", second);
  source->deny("in/secret");
  put(*source, "in/closed/x", "x", second);
  target->put_directory("out/closed");
  target->deny("out/closed");
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 5U);
  EXPECT_EQ(done->files_failed, 2U);
  ASSERT_EQ(done->failures.size(), 2U);
  for (const FailureRecord& failure : done->failures) EXPECT_EQ(failure.error.kind, ErrorKind::permission);
  EXPECT_TRUE(target->temporaries().empty());

  // The failed ones stay open: the same plan can be run again.
  auto plans = awaited(store->plans.newest(1));
  ASSERT_OK(plans);
  EXPECT_EQ(plans->front().state, PlanState::failed);
  auto again = run(plans->front().id);
  ASSERT_OK(again);
  EXPECT_EQ(again->files_planned, 2U);
  EXPECT_EQ(again->files_failed, 2U);
}

TEST_F(Sync, ADirectoryThatIsRemovedAtTheTargetIsMadeAgain) {
  for (int i = 0; i < 5; ++i) put(*source, fmt::format("in/a/b/{}", i), "x", second);
  job.target.options["files_in_flight"] = "1";
  engine.events.on_event = [&, published = 0](const EngineEvent& event) mutable {
    if (!std::holds_alternative<FilePublishedEvent>(event) || ++published != 2) return;
    const auto nodes = target->nodes();
    for (const auto& [path, node] : nodes)
      if (path.starts_with("out/a")) target->remove(path);
  };
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 5U);
  EXPECT_EQ(done->files_failed, 0U);
  EXPECT_EQ(files(*target, "out").size(), 3U);
}

TEST_F(Sync, ConflictPolicies) {
  put(*source, "in/a", "new", 2 * second);
  put(*target, "out/a", "older", second);
  job.on_conflict = OnConflict::skip;
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_skipped, 1U);
  EXPECT_EQ(*target->find("out/a")->content, "older");
  job.on_conflict = OnConflict::fail;
  done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::exists);
  EXPECT_EQ(*target->find("out/a")->content, "older");
  job.on_conflict = OnConflict::overwrite;
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_EQ(*target->find("out/a")->content, "new");
}

TEST_F(Sync, WithoutAtomicReplaceOverwritingNeedsConsent) {
  job.target.options["atomic_replace"] = "no";
  put(*source, "in/a", "new", 2 * second);
  put(*source, "in/b", "b", 2 * second);
  put(*target, "out/a", "older", second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 1U);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::unsupported);
  job.on_conflict = OnConflict::overwrite_non_atomic;
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

TEST_F(Sync, DryRunChangesNothing) {
  fill();
  auto planned = plan(true);
  ASSERT_OK(planned);
  EXPECT_EQ(planned->files_planned, 5U);
  EXPECT_EQ(engine.events.of<FilePlannedEvent>().size(), 5U);
  EXPECT_TRUE(engine.events.of<FileSkippedEvent>().empty());
  EXPECT_TRUE(files(*target, "out").empty());
  EXPECT_TRUE(awaited(store->plans.newest(10))->empty());
}

TEST_F(Sync, BatchesRunApartAndStayOpenUntilDone) {
  for (int i = 0; i < 100; ++i) put(*source, fmt::format("in/{:03}", i), std::to_string(i), second);
  job.batching.max_files = 30;
  auto planned = plan();
  ASSERT_OK(planned);
  EXPECT_EQ(planned->batches, 4U);
  auto second_batch = run(planned->plan, {.batches = {2}});
  ASSERT_OK(second_batch);
  EXPECT_EQ(second_batch->files_copied, 25U);
  auto rest = run(planned->plan);
  ASSERT_OK(rest);
  EXPECT_EQ(rest->files_copied, 75U);
  expect_same_trees();
  EXPECT_EQ(awaited(store->plans.find(planned->plan))->state, PlanState::done);
  EXPECT_FAILS(run(planned->plan, {.batches = {5}}), ErrorKind::config);
}

TEST_F(Sync, ABatchThatAnotherWorkerHoldsIsNotTouched) {
  put(*source, "in/a", "a", second);
  auto planned = plan();
  ASSERT_OK(planned);
  ASSERT_TRUE(awaited(store->leases.take(planned->plan, 1, "another", std::chrono::minutes(1)))->lease);
  auto refused = run(planned->plan, {.wait_for_leases = false});
  ASSERT_OK(refused);
  ASSERT_TRUE(refused->ended_by);
  EXPECT_EQ(refused->ended_by->kind, ErrorKind::lease);
  EXPECT_NE(refused->ended_by->message.find("another"), std::string::npos);
  EXPECT_TRUE(files(*target, "out").empty());
}

TEST_F(Sync, DoesNotWaitForTheLeaseOfAProcessThatIsGone) {
  put(*source, "in/a", "a", second);
  auto planned = plan();
  ASSERT_OK(planned);
  auto dead = awaited(store->leases.take(planned->plan, 1, testing_support::ended_holder(), std::chrono::hours(1)));
  ASSERT_TRUE(dead->lease);
  const std::string orphan = "out/" + TemporaryName{planned->plan, 1, dead->lease->nonce, 1}.text();
  put(*target, orphan, "le");
  ASSERT_OK(plan()); // another plan of the same pair removes what the dead one left
  EXPECT_FALSE(target->find(orphan));
  put(*target, orphan, "le");
  auto ran = run(planned->plan, {.wait_for_leases = false});
  ASSERT_OK(ran);
  EXPECT_FALSE(ran->ended_by);
  EXPECT_EQ(ran->files_copied, 1U);
  expect_same_trees();
}

// As after a suspension of the machine, or while the state could not be reached.
TEST_F(Sync, ALeaseThatRanOutMeanwhileIsTakenAgainAndNothingIsLeft) {
  for (int i = 0; i < 20; ++i) put(*source, fmt::format("in/{:02}", i), "x", second);
  put(*source, "in/00-secret", "x", second);
  source->deny("in/00-secret");
  job.target.options["files_in_flight"] = "1";
  job.lease_ttl = std::chrono::milliseconds(50);
  engine.events.on_event = [&, published = 0](const EngineEvent& event) mutable {
    if (std::holds_alternative<FilePublishedEvent>(event) && ++published == 3)
      std::this_thread::sleep_for(3 * job.lease_ttl);
  };
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_FALSE(done->ended_by);
  EXPECT_EQ(done->files_copied + done->files_skipped, 20U);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(files(*target, "out").size(), 20U);
  EXPECT_EQ(awaited(store->plans.newest(1))->front().state, PlanState::failed);
}

TEST_F(Sync, TakesOverAfterAKilledWorkerAndRemovesItsTemporaries) {
  put(*source, "in/a", "aaaa", second);
  put(*source, "in/b", "bbbb", second);
  auto planned = plan();
  ASSERT_OK(planned);
  // A worker that was killed: its lease has run out, one file is published but not recorded, one is half written.
  auto dead = awaited(store->leases.take(planned->plan, 1, "dead", std::chrono::milliseconds(0)));
  ASSERT_TRUE(dead->lease);
  const Lease& lease = *dead->lease;
  const auto files_of_plan = awaited(store->plans.open_files(planned->plan, 1, 0, 10));
  for (const PlannedFile& file : *files_of_plan)
    if (file.path == "b")
      put(*target, "out/" + TemporaryName{lease.plan, lease.generation, lease.nonce, file.number}.text(), "bb");
  put(*target, "out/a", "aaaa", second);
  ASSERT_EQ(target->temporaries().size(), 1U);

  auto ran = run(planned->plan);
  ASSERT_OK(ran);
  EXPECT_EQ(ran->files_copied, 1U);
  EXPECT_EQ(ran->files_skipped, 1U);
  expect_same_trees();
  // What the dead worker might still want to say is refused.
  const FileOutcome late{.number = 1};
  EXPECT_FAILS(awaited(store->leases.checkpoint(lease, {&late, 1}, std::nullopt)), ErrorKind::lease);
}

TEST_F(Sync, PlanningRemovesLeftoversOfDeadPlansOnly) {
  put(*source, "in/a", "a", second);
  auto planned = plan();
  ASSERT_OK(planned);
  const TemporaryName own{planned->plan, 1, "0123abcd", 1};
  const TemporaryName foreign{"aaaaaaaaaa", 1, "0123abcd", 1};
  put(*target, "out/" + own.text(), "left");
  put(*target, "out/" + foreign.text(), "somebody's");
  ASSERT_OK(plan());
  EXPECT_FALSE(target->find("out/" + own.text()));
  EXPECT_TRUE(target->find("out/" + foreign.text()));
}

TEST_F(Sync, StaysWithinTheBudgetOfOpenFilesAndMemory) {
  for (int i = 0; i < 200; ++i) put(*source, fmt::format("in/{:03}", i), std::string(100'000, 'x'), second);
  job.memory_bytes = 1 << 20;
  ASSERT_OK(sync());
  EXPECT_LE(source->max_files_open, 10U);
  expect_same_trees();
}

TEST_F(Sync, AStopLeavesNoTemporaryAndTheRestOpen) {
  for (int i = 0; i < 50; ++i) put(*source, fmt::format("in/{:03}", i), std::string(10'000, 'x'), second);
  auto planned = plan();
  ASSERT_OK(planned);
  cancellation.request(make_error(ErrorKind::interrupted, "run", "", "SIGTERM"));
  auto ran = run(planned->plan);
  ASSERT_OK(ran);
  EXPECT_TRUE(ran->interrupted);
  EXPECT_EQ(ran->files_failed, 0U);
  EXPECT_TRUE(target->temporaries().empty());
}

TEST_F(Sync, ReadbackAndHashFindNothingWrongInAnHonestStore) {
  fill();
  for (const VerifyMode mode : {VerifyMode::readback, VerifyMode::hash}) {
    job.verify = mode;
    EXPECT_EQ(sync()->files_copied, 5U);
    for (const auto& [path, content] : files(*target, "out")) target->put_file("out/" + path, content + "x", 1);
  }
}

// Within the second of its mtime, a file may be written again without a trace.
TEST_F(Sync, AFileOfThisSecondIsReadOnceTheSecondIsOver) {
  const std::int64_t second_ms = now_ms() / 1'000 * 1'000;
  put(*source, "in/file", "content", second_ms * 1'000'000);
  put(*source, "in/set to come", "content", (second_ms + 3'600'000) * 1'000'000); // not waited for
  EXPECT_EQ(sync()->files_copied, 2U);
  EXPECT_GE(now_ms(), second_ms + 1'000);
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Sync, HashIsRefusedBeforeAnythingIsMovedWhereTheTargetHasNone) {
  fill();
  job.verify = VerifyMode::hash;
  job.target.options["hashes"] = "no";
  const auto refused = plan();
  EXPECT_FAILS(refused, ErrorKind::config);
  EXPECT_NE(refused.error().text().find("memory://target"), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().text().find("--verify readback"), std::string::npos) << refused.error().text();
  EXPECT_TRUE(files(*target, "out").empty());
}

// A store that changes what it was given.
TEST_F(Sync, HashFindsContentThatIsNotWhatWasWritten) {
  put(*source, "in/file", "what was read", 1'000'000'000);
  job.verify = VerifyMode::hash;
  job.retries = 1;
  target->corrupts_uploads = true;
  const auto ran = sync();
  ASSERT_OK(ran);
  EXPECT_EQ(ran->files_copied, 0U);
  ASSERT_EQ(ran->failures.size(), 1U);
  EXPECT_EQ(ran->failures[0].error.kind, ErrorKind::integrity);
  target->corrupts_uploads = false;
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

TEST_F(Sync, ANameThatAppearedLeavesNoTemporary) {
  for (const OnConflict on_conflict : {OnConflict::skip, OnConflict::fail}) {
    const std::string path = fmt::format("{}", static_cast<int>(on_conflict));
    job.on_conflict = on_conflict;
    put(*source, "in/" + path, "ours", second);
    const auto planned = plan();
    ASSERT_OK(planned);
    put(*target, "out/" + path, "theirs", second);
    const auto ran = run(planned->plan);
    ASSERT_OK(ran);
    EXPECT_EQ(ran->files_skipped, on_conflict == OnConflict::skip ? 1U : 0U);
    EXPECT_EQ(ran->files_failed, on_conflict == OnConflict::fail ? 1U : 0U);
    EXPECT_EQ(files(*target, "out").at(path), "theirs");
    EXPECT_TRUE(target->temporaries().empty());
  }
}

TEST_F(Sync, VerifyNamesEachDifference) {
  fill();
  ASSERT_OK(sync());
  put(*target, "out/a.txt", "ALPHA", 1'000 * second);
  put(*target, "out/empty", "full", 3'000 * second);
  put(*target, "out/extra", "extra", second);
  target->remove("out/large.bin");
  Engine shared = parts();
  auto both = connections();
  ASSERT_OK(both);
  auto report = engine.run(verify_connections(shared, job, *both));
  ASSERT_OK(report);
  EXPECT_EQ(report->difference_count, 2U); // missing and size
  EXPECT_EQ(report->files_extra, 1U);
  job.checksum = true;
  report = engine.run(verify_connections(shared, job, *both));
  ASSERT_OK(report);
  EXPECT_EQ(report->difference_count, 3U);
}

TEST_F(Sync, VerifyComparesWhatLinksSay) {
  put(*source, "in/a", "content", second);
  source->put_link("in/link", "a");
  job.links = LinkPolicy::copy;
  ASSERT_OK(sync());
  Engine shared = parts();
  auto both = connections();
  ASSERT_OK(both);
  auto report = engine.run(verify_connections(shared, job, *both));
  ASSERT_OK(report);
  EXPECT_EQ(report->difference_count, 0U);
  target->put_link("out/link", "b");
  report = engine.run(verify_connections(shared, job, *both));
  ASSERT_OK(report);
  ASSERT_EQ(report->difference_count, 1U);
  EXPECT_EQ(report->differences.at(0).reason, "content");
}

TEST_F(Sync, TheLimitOfASweepIsForThoseThatAreOldEnough) {
  for (std::uint64_t number = 1; number <= 5; ++number)
    put(*target, "out/" + TemporaryName{"aaaaaaaaaa", 1, "0123abcd", number}.text(), "left", second);
  for (std::uint64_t number = 6; number <= 9; ++number)
    put(*target, "out/" + TemporaryName{"aaaaaaaaaa", 1, "0123abcd", number}.text(), "young", 2 * second);
  auto both = connections();
  ASSERT_OK(both);
  const auto old = [](const Orphan& orphan) { return orphan.mtime_ns == second; };
  auto found = engine.run(find_orphans(*both->target, "", 6, {}, old));
  ASSERT_OK(found);
  EXPECT_EQ(found->found.size(), 5U);
  EXPECT_FALSE(found->limited);
  found = engine.run(find_orphans(*both->target, "", 3, {}, old));
  ASSERT_OK(found);
  EXPECT_EQ(found->found.size(), 3U);
  EXPECT_TRUE(found->limited);
}

TEST_F(Sync, SweepTakesOldTemporariesOfOursOnly) {
  const TemporaryName name{"aaaaaaaaaa", 1, "0123abcd", 1};
  put(*target, "out/" + name.text(), "left", second);
  put(*target, "out/.cv-mine.part", "somebody's", second);
  Engine shared = parts();
  auto both = connections();
  ASSERT_OK(both);
  auto report = engine.run(sweep_target(shared, *both->target, std::chrono::hours(1), true));
  ASSERT_OK(report);
  EXPECT_EQ(report->found.size(), 1U);
  EXPECT_TRUE(target->find("out/" + name.text()));
  report = engine.run(sweep_target(shared, *both->target, std::chrono::hours(1), false));
  ASSERT_OK(report);
  EXPECT_EQ(report->removed, 1U);
  EXPECT_FALSE(target->find("out/" + name.text()));
  EXPECT_TRUE(target->find("out/.cv-mine.part"));
}

} // namespace
} // namespace checkvalve
