#include <map>
#include <random>

#include "suite.h"

namespace checkvalve::test {
namespace {

BatchRecord batch_of(StateStore& store, const std::string& plan, std::uint32_t number) {
  auto batches = awaited(store.plans.batches(plan));
  EXPECT_TRUE(ok(batches));
  for (const BatchRecord& batch : *batches)
    if (batch.number == number) return batch;
  ADD_FAILURE() << "no batch " << number;
  return {};
}

TEST_P(StateStoreSuite, ALeaseKeepsOthersOut) {
  make_plan("p", 2, 3);
  const auto other = open();
  const auto taken = awaited(store_->leases.take("p", 1, "worker one\xff", long_ttl));
  ASSERT_TRUE(ok(taken));
  ASSERT_TRUE(taken->lease);
  EXPECT_EQ(taken->lease->plan, "p");
  EXPECT_EQ(taken->lease->batch, 1U);
  EXPECT_EQ(taken->lease->generation, 1U);
  EXPECT_EQ(taken->lease->nonce.size(), 8U);
  EXPECT_EQ(taken->lease->nonce.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(taken->lease->previous_generation, 0U);
  EXPECT_EQ(taken->lease->previous_nonce, "");

  for (StateStore* store : {other.get(), store_.get()}) { // whoever asks
    const auto refused = awaited(store->leases.take("p", 1, "worker two", long_ttl));
    ASSERT_TRUE(ok(refused));
    EXPECT_FALSE(refused->lease);
    EXPECT_FALSE(refused->already_done);
    EXPECT_EQ(refused->holder, "worker one\xff");
    EXPECT_EQ(refused->held_until_ms, batch_of(*store, "p", 1).lease_until_ms);
  }
  const auto second = awaited(other->leases.take("p", 2, "worker two", long_ttl));
  ASSERT_TRUE(ok(second));
  ASSERT_TRUE(second->lease);
  EXPECT_NE(second->lease->nonce, taken->lease->nonce);

  const BatchRecord batch = batch_of(*other, "p", 1);
  EXPECT_EQ(batch.state, BatchState::leased);
  EXPECT_EQ(batch.generation, 1U);
  EXPECT_EQ(batch.holder, "worker one\xff");
}

TEST_P(StateStoreSuite, AnAbandonedLeaseIsFreeAtOnceForItsHolderOnly) {
  make_plan("p", 1, 3);
  const auto gone = awaited(store_->leases.take("p", 1, "gone", long_ttl))->lease;
  ASSERT_TRUE(gone);
  ASSERT_TRUE(ok(awaited(store_->leases.abandon("p", 1, "somebody else"))));
  EXPECT_FALSE(awaited(store_->leases.take("p", 1, "next", long_ttl))->lease);
  ASSERT_TRUE(ok(awaited(store_->leases.abandon("p", 1, "gone"))));
  const auto next = awaited(store_->leases.take("p", 1, "next", long_ttl))->lease;
  ASSERT_TRUE(next);
  EXPECT_EQ(next->previous_generation, gone->generation);
  EXPECT_EQ(next->previous_nonce, gone->nonce);
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(*gone, std::vector{outcome(1, FileState::committed)}, {})),
                    ErrorKind::lease));
}

TEST_P(StateStoreSuite, AnExpiredLeaseIsTakenOverAndTheOldOneRecordsNothing) {
  make_plan("p", 1, 3);
  const auto other = open();
  const auto old = awaited(store_->leases.take("p", 1, "slow", no_ttl))->lease; // expires at once
  ASSERT_TRUE(old);
  // Not taken over yet: still good.
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*old, std::vector{outcome(1, FileState::committed)}, {}))));
  const auto fresh = awaited(other->leases.take("p", 1, "quick", long_ttl))->lease;
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->generation, 2U);
  EXPECT_EQ(fresh->previous_generation, 1U);
  EXPECT_EQ(fresh->previous_nonce, old->nonce);
  EXPECT_NE(fresh->nonce, old->nonce);

  const auto refused =
      awaited(store_->leases.checkpoint(*old, std::vector{outcome(2, FileState::committed)}, HistoryScope{pair, ""}));
  ASSERT_TRUE(fails(refused, ErrorKind::lease));
  EXPECT_NE(refused.error().message.find("quick"), std::string::npos) << refused.error().text();
  EXPECT_TRUE(refused.error().transient()); // a further run may take the batch
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(*old, {}, {})), ErrorKind::lease));
  EXPECT_TRUE(fails(awaited(store_->leases.renew(*old, long_ttl)), ErrorKind::lease));
  EXPECT_TRUE(fails(awaited(store_->leases.release(*old)), ErrorKind::lease));
  EXPECT_TRUE(awaited(store_->history.page(pair, "", 10))->empty());
  EXPECT_EQ(awaited(store_->plans.open_files("p", 1, 0, 10))->size(), 2U);
  EXPECT_EQ(batch_of(*store_, "p", 1).state, BatchState::leased);
  EXPECT_EQ(batch_of(*store_, "p", 1).holder, "quick");

  ASSERT_TRUE(ok(awaited(other->leases.checkpoint(*fresh, std::vector{outcome(2, FileState::committed)}, {}))));
  EXPECT_EQ(batch_of(*store_, "p", 1).files_done, 2U);
}

TEST_P(StateStoreSuite, ABatchIsInDoubtUntilItsFilesAreCommitted) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  std::vector<PlannedFile> files = {planned(1, 1, "done"), planned(2, 1, "failed"), planned(3, 1, "open \xff", 30),
                                    planned(4, 1, "link"), planned(5, 2, "other batch")};
  files[2].mtime_ns = 5;
  files[2].etag = "tag\xff";
  files[3].action = FileAction::link;
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", files))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto old = awaited(store_->leases.take("p", 1, "slow", no_ttl))->lease;
  ASSERT_TRUE(old);
  const HistoryScope listed{pair, "chain", "SUMS"};
  std::vector<FileOutcome> outcomes = {outcome(1, FileState::committed), outcome(2, FileState::failed),
                                       outcome(3, FileState::committed)};
  outcomes[2].list_digest = "sha256:3";
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*old, outcomes, listed))));
  outcomes[2].state = FileState::failed; // and tried again
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*old, outcomes, listed))));
  const auto lease = awaited(store_->leases.take("p", 1, "quick", long_ttl))->lease;
  ASSERT_TRUE(lease);
  EXPECT_TRUE(fails(awaited(store_->leases.doubt_batch(*old, pair)), ErrorKind::lease));
  EXPECT_EQ(awaited(store_->history.page(pair, "", 10))->size(), 2U);
  for (int again = 0; again < 2; ++again) ASSERT_TRUE(ok(awaited(store_->leases.doubt_batch(*lease, pair))));

  auto records = awaited(store_->history.page(pair, "", 10));
  ASSERT_TRUE(ok(records));
  ASSERT_EQ(records->size(), 3U);
  EXPECT_EQ(records->at(0).chain, "chain");
  EXPECT_EQ(records->at(1).path, "failed");
  EXPECT_EQ(records->at(1).chain, chain_in_doubt);
  const HistoryRecord& open = records->at(2);
  EXPECT_EQ(open.path, "open \xff");
  EXPECT_EQ(open.chain, chain_in_doubt);
  EXPECT_EQ(open.size_bytes, 30U);
  EXPECT_EQ(open.mtime_ns, 5);
  EXPECT_EQ(open.etag, "tag\xff");
  EXPECT_EQ(open.target_bytes, 0U);
  EXPECT_EQ(open.list + open.list_digest + open.target_path, "");
  EXPECT_EQ(open.published_ms, 0);

  // One doubt ends in a record, one without; what failed keeps it, and what was known for sure stays.
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, std::vector{outcome(3, FileState::committed)}, listed))));
  HistoryScope only_doubts = listed;
  only_doubts.only_doubts = true;
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      *lease, std::vector{outcome(1, FileState::committed), outcome(2, FileState::failed)}, only_doubts))));
  records = awaited(store_->history.page(pair, "", 10));
  ASSERT_EQ(records->size(), 3U);
  EXPECT_EQ(records->at(1).chain, chain_in_doubt);
  EXPECT_EQ(records->at(2).chain, "chain");
  ASSERT_TRUE(
      ok(awaited(store_->leases.checkpoint(*lease, std::vector{outcome(2, FileState::committed)}, only_doubts))));
  records = awaited(store_->history.page(pair, "", 10));
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ(records->at(0).chain, "chain");
  EXPECT_EQ(records->at(1).path, "open \xff");
}

TEST_P(StateStoreSuite, ALeaseOfTheSameGenerationButAnotherNonceIsRefused) {
  make_plan("p", 1, 1);
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  Lease forged = *lease;
  forged.nonce = forged.nonce == "00000000" ? "11111111" : "00000000";
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(forged, std::vector{outcome(1, FileState::committed)}, {})),
                    ErrorKind::lease));
  EXPECT_TRUE(fails(awaited(store_->leases.release(forged)), ErrorKind::lease));
}

TEST_P(StateStoreSuite, RenewalKeepsALeaseAlive) {
  make_plan("p", 1, 1);
  const auto lease = awaited(store_->leases.take("p", 1, "w", no_ttl))->lease;
  ASSERT_TRUE(lease);
  ASSERT_TRUE(ok(awaited(store_->leases.renew(*lease, long_ttl))));
  EXPECT_FALSE(awaited(store_->leases.take("p", 1, "v", long_ttl))->lease);
  ASSERT_TRUE(ok(awaited(store_->leases.renew(*lease, no_ttl))));
  EXPECT_TRUE(awaited(store_->leases.take("p", 1, "v", long_ttl))->lease);
}

TEST_P(StateStoreSuite, ReleaseSettlesBatchAndPlan) {
  make_plan("p", 3, 2);
  const auto take = [&](std::uint32_t batch) {
    return *awaited(store_->leases.take("p", batch, "w", long_ttl))->lease;
  };

  Lease lease = take(1); // all done
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      lease, std::vector{outcome(1, FileState::committed), outcome(2, FileState::skipped)}, {}))));
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease)))); // its answer may have been lost
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(lease, std::vector{outcome(1, FileState::failed)}, {})),
                    ErrorKind::lease));
  EXPECT_TRUE(fails(awaited(store_->leases.renew(lease, long_ttl)), ErrorKind::lease));
  BatchRecord batch = batch_of(*store_, "p", 1);
  EXPECT_EQ(batch.state, BatchState::done);
  EXPECT_EQ(batch.files_done, 2U);
  EXPECT_EQ(batch.bytes_done, 20U);
  EXPECT_TRUE(awaited(store_->leases.take("p", 1, "w", long_ttl))->already_done);
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::ready);

  lease = take(2); // one failed
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      lease, std::vector{outcome(3, FileState::committed), outcome(4, FileState::failed)}, {}))));
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  batch = batch_of(*store_, "p", 2);
  EXPECT_EQ(batch.state, BatchState::failed);
  EXPECT_EQ(batch.files_done, 1U);
  EXPECT_EQ(batch.bytes_done, 10U);
  EXPECT_EQ(batch.files_failed, 1U);

  lease = take(3); // interrupted: one failed, one not tried
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(lease, std::vector{outcome(5, FileState::failed)}, {}))));
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  EXPECT_EQ(batch_of(*store_, "p", 3).state, BatchState::pending);
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::ready);

  lease = take(3);
  EXPECT_EQ(lease.generation, 2U);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      lease, std::vector{outcome(5, FileState::committed), outcome(6, FileState::committed)}, {}))));
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::failed);

  lease = take(2); // a failed batch may be tried again
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::ready);
  const auto open_files = awaited(store_->plans.open_files("p", 2, 0, 10));
  ASSERT_TRUE(ok(open_files));
  ASSERT_EQ(open_files->size(), 1U);
  EXPECT_EQ(open_files->at(0).number, 4U);
  EXPECT_EQ(awaited(store_->plans.failures("p", 0, 10))->size(), 1U);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(lease, std::vector{outcome(4, FileState::committed)}, {}))));
  EXPECT_TRUE(awaited(store_->plans.failures("p", 0, 10))->empty());
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  batch = batch_of(*store_, "p", 2);
  EXPECT_EQ(batch.state, BatchState::done);
  EXPECT_EQ(batch.files_failed, 0U);
  EXPECT_EQ(batch.bytes_done, 20U);
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::done);
}

TEST_P(StateStoreSuite, ABatchWhoseWorkerDiedAfterTheLastCheckpointIsDone) {
  make_plan("p", 1, 1);
  const auto lease = awaited(store_->leases.take("p", 1, "w", no_ttl))->lease;
  ASSERT_TRUE(lease);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, std::vector{outcome(1, FileState::committed)}, {}))));
  const auto answer = awaited(store_->leases.take("p", 1, "v", long_ttl));
  ASSERT_TRUE(ok(answer));
  EXPECT_FALSE(answer->lease);
  EXPECT_TRUE(answer->already_done);
  EXPECT_EQ(batch_of(*store_, "p", 1).state, BatchState::done);
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::done);
}

TEST_P(StateStoreSuite, ACheckpointDoneTwiceCountsOnce) {
  make_plan("p", 1, 3);
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  const std::vector outcomes = {outcome(1, FileState::committed), outcome(2, FileState::failed),
                                outcome(3, FileState::failed), outcome(3, FileState::committed)};
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, outcomes, HistoryScope{pair, ""}))));
    const BatchRecord batch = batch_of(*store_, "p", 1);
    EXPECT_EQ(batch.files_done, 2U);
    EXPECT_EQ(batch.bytes_done, 20U);
    EXPECT_EQ(batch.files_failed, 1U);
    EXPECT_EQ(awaited(store_->plans.failures("p", 0, 10))->size(), 1U);
    EXPECT_EQ(awaited(store_->history.page(pair, "", 10))->size(), 2U);
  }
}

TEST_P(StateStoreSuite, ACheckpointIsRecordedWholeOrNotAtAll) {
  make_plan("p", 2, 2);
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  // File 3 is of batch 2.
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(
                        *lease, std::vector{outcome(1, FileState::committed), outcome(3, FileState::committed)},
                        HistoryScope{pair, ""})),
                    ErrorKind::state));
  EXPECT_EQ(awaited(store_->plans.open_files("p", 1, 0, 10))->size(), 2U);
  EXPECT_EQ(batch_of(*store_, "p", 1).files_done, 0U);
  EXPECT_TRUE(awaited(store_->history.page(pair, "", 10))->empty());
}

TEST_P(StateStoreSuite, RemembersWhatWasPublishedByPairInTheOrderOfBytes) {
  const std::vector<std::string> paths = {"a/b", "a b", "a", "\xff", "z", "\xc3\xa4", "A", "a/a"};
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  std::vector<PlannedFile> files;
  for (const std::string& path : paths) files.push_back(planned(files.size() + 1, 1, path));
  files.push_back(planned(9, 1, "skipped"));
  files.push_back(planned(10, 1, "failed"));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", files))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  std::vector<FileOutcome> outcomes;
  for (std::uint64_t number = 1; number <= 8; ++number) {
    outcomes.push_back(outcome(number, FileState::committed));
    outcomes.back().size_bytes = 100 + number;
    outcomes.back().bytes = 50 + number;
    outcomes.back().etag = "\xfe";
    if (number % 2) outcomes.back().target_etag = "there\xfe";
    if (number % 2) outcomes.back().mtime_ns = static_cast<std::int64_t>(number);
  }
  outcomes.push_back(outcome(9, FileState::skipped));
  outcomes.push_back(outcome(10, FileState::failed));
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, outcomes, {})))); // not to be remembered
  EXPECT_TRUE(awaited(store_->history.page(pair, "", 10))->empty());
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, outcomes, HistoryScope{pair, "chain"}))));
  ASSERT_TRUE(ok(awaited(
      store_->leases.checkpoint(*lease, std::span(outcomes).first(1), HistoryScope{PairKey{"in", "two\xff"}, ""}))));

  std::map<std::string, HistoryRecord> kept;
  std::vector<std::string> order;
  for (std::string from;;) {
    const auto page = awaited(store_->history.page(pair, from, 3));
    ASSERT_TRUE(ok(page));
    for (const HistoryRecord& record : *page) {
      order.push_back(record.path);
      kept[record.path] = record;
    }
    if (page->size() < 3) break;
    from = path_after(page->back().path);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"A", "a", "a b", "a/a", "a/b", "z", "\xc3\xa4", "\xff"}));
  EXPECT_EQ(kept["a b"].size_bytes, 102U);
  EXPECT_EQ(kept["a b"].target_bytes, 52U);
  EXPECT_EQ(kept["a b"].mtime_ns, std::nullopt);
  EXPECT_EQ(kept["a/b"].mtime_ns, 1);
  EXPECT_EQ(kept["a/b"].etag, "\xfe");
  EXPECT_EQ(kept["a/b"].target_etag, "there\xfe");
  EXPECT_EQ(kept["a b"].target_etag, "");
  EXPECT_EQ(kept["a/b"].chain, "chain");
  EXPECT_EQ(awaited(store_->history.page({"in", "two\xff"}, "", 10))->size(), 1U);
  EXPECT_TRUE(awaited(store_->history.page({"in\nout", ""}, "", 10))->empty());

  outcomes[0].size_bytes = 999; // published again, with other content
  ASSERT_TRUE(
      ok(awaited(store_->leases.checkpoint(*lease, std::span(outcomes).first(1), HistoryScope{pair, "other"}))));
  EXPECT_EQ(awaited(store_->history.page(pair, "a/b", 1))->at(0).size_bytes, 999U);
  EXPECT_EQ(awaited(store_->history.page(pair, "a/b", 1))->at(0).chain, "other");
}

TEST_P(StateStoreSuite, PrunesTheHistoryThatNobodyNeeds) {
  make_plan("p", 1, 7);
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  std::vector<FileOutcome> outcomes;
  for (std::uint64_t number = 1; number <= 7; ++number) outcomes.push_back(outcome(number, FileState::committed));
  outcomes[0].list_digest = "sha256:1";
  outcomes[1].state = FileState::failed;
  outcomes[1].error = make_error(ErrorKind::integrity, "verify", "b1/f2", "reads back with other content");
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, outcomes, HistoryScope{pair, "", "SUMS"}))));
  const auto paths = [&] {
    std::vector<std::string> found;
    for (const HistoryRecord& record : *awaited(store_->history.page(pair, "", 100))) found.push_back(record.path);
    return found;
  };
  const auto prune_all = [&](std::chrono::milliseconds unused_for) {
    for (int page = 0; page < 4; ++page) ASSERT_TRUE(ok(awaited(store_->history.prune(unused_for, 2))));
  };
  prune_all(std::chrono::hours(1));
  EXPECT_EQ(paths().size(), 7U);

  fixture_->sql("UPDATE cv_published SET used_ms = 1000 WHERE path <> " + fixture_->literal("b1/f7"));
  fixture_->sql("UPDATE cv_published SET used_ms = NULL WHERE path = " + fixture_->literal("b1/f6")); // of schema 4
  ASSERT_TRUE(ok(awaited(store_->history.touch(pair, {"b1/f5", "none"}))));
  EXPECT_GT(awaited(store_->history.page(pair, "b1/f4", 1))->at(0).unused_ms, 1'000'000'000);
  EXPECT_LT(awaited(store_->history.page(pair, "b1/f5", 1))->at(0).unused_ms, 1'000'000);
  EXPECT_EQ(awaited(store_->history.page(pair, "b1/f6", 1))->at(0).unused_ms, 0);
  prune_all(std::chrono::hours(1));
  const std::vector<std::string> kept = {"b1/f1", "b1/f2", "b1/f5", "b1/f6", "b1/f7"};
  EXPECT_EQ(paths(), kept); // listed, in doubt, touched, first seen, recent
  fixture_->sql("UPDATE cv_published SET used_ms = 1000 WHERE path = " + fixture_->literal("b1/f6") +
                " AND used_ms > 1000");
  prune_all(std::chrono::hours(1));
  EXPECT_EQ(paths().size(), 4U);
}

// Two workers do at random what workers do. A model says what must be true: only the newest lease of a batch records.
TEST_P(StateStoreSuite, RandomInterleavingsNeverLetAnOlderGenerationRecord) {
  constexpr std::uint64_t files = 6;
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    const std::string plan = "plan" + std::to_string(seed);
    make_plan(plan, 1, files);
    const auto other = open();
    std::mt19937 random(seed);
    const auto draw = [&](unsigned count) { return static_cast<unsigned>(random() % count); };
    struct Worker {
      StateStore* store;
      std::optional<Lease> lease;
    };
    Worker workers[] = {{store_.get(), {}}, {other.get(), {}}};
    std::uint32_t newest = 0;
    std::string newest_nonce;
    bool released = true;
    bool expired = true;
    std::map<std::uint64_t, FileState> recorded; // by file
    for (int step = 0; step < 60; ++step) {
      Worker& worker = workers[draw(2)];
      const bool current = worker.lease && worker.lease->generation == newest && !released;
      switch (draw(5)) {
      case 0: {
        const bool short_lived = draw(2) == 0;
        const auto answer = awaited(worker.store->leases.take(plan, 1, "w", short_lived ? no_ttl : long_ttl));
        ASSERT_TRUE(ok(answer));
        std::size_t done = 0;
        for (const auto& [number, state] : recorded) done += state != FileState::failed;
        if (!released && !expired) {
          ASSERT_FALSE(answer->lease);
          ASSERT_FALSE(answer->already_done);
        } else if (done == files) {
          ASSERT_TRUE(answer->already_done);
          released = true;
        } else {
          ASSERT_TRUE(answer->lease);
          ASSERT_EQ(answer->lease->generation, newest + 1);
          ASSERT_EQ(answer->lease->previous_generation, newest);
          ASSERT_EQ(answer->lease->previous_nonce, newest_nonce);
          worker.lease = answer->lease;
          newest = answer->lease->generation;
          newest_nonce = answer->lease->nonce;
          released = false;
          expired = short_lived;
        }
        break;
      }
      case 1: {
        if (!worker.lease) break;
        const bool short_lived = draw(2) == 0;
        const auto renewed = awaited(worker.store->leases.renew(*worker.lease, short_lived ? no_ttl : long_ttl));
        ASSERT_EQ(renewed.has_value(), current);
        if (current) expired = short_lived;
        break;
      }
      case 2: {
        if (!worker.lease || draw(3) != 0) break;
        const auto ended = awaited(worker.store->leases.release(*worker.lease));
        ASSERT_EQ(ended.has_value(), worker.lease->generation == newest);
        if (current) released = true;
        break;
      }
      default: {
        if (!worker.lease) break;
        const std::uint64_t number = 1 + draw(files);
        const FileState state = draw(3) == 0 ? FileState::failed : FileState::committed;
        const auto done =
            awaited(worker.store->leases.checkpoint(*worker.lease, std::vector{outcome(number, state)}, {}));
        if (current) {
          ASSERT_TRUE(ok(done));
          recorded[number] = state;
        } else {
          ASSERT_TRUE(fails(done, ErrorKind::lease));
        }
      }
      }
      std::uint64_t done = 0;
      std::uint64_t failed = 0;
      for (const auto& [number, state] : recorded) ++(state == FileState::failed ? failed : done);
      const BatchRecord batch = batch_of(*store_, plan, 1);
      ASSERT_EQ(batch.generation, newest);
      ASSERT_EQ(batch.files_done, done);
      ASSERT_EQ(batch.bytes_done, 10 * done);
      ASSERT_EQ(batch.files_failed, failed);
      ASSERT_EQ(awaited(store_->plans.open_files(plan, 1, 0, 100))->size(), files - done);
      ASSERT_EQ(awaited(store_->plans.failures(plan, 0, 100))->size(), failed);
    }
  }
}

} // namespace
} // namespace checkvalve::test
