// Histories and lists of states of schema 3, which has them by display names.
#include "suite.h"

namespace checkvalve::test {
namespace {

const PairKey displayed{"sftp://in\n\xff", "s3://out"};
const std::string sums = "SHA256SUMS";

void write_plan(StateStore& store, const std::string& id, const std::vector<std::string>& paths) {
  PlanRecord plan = plan_record(id);
  plan.source = displayed.source;
  plan.target = displayed.target;
  plan.job_json = "{\"job\":\"" + id + "\"}";
  std::vector<PlannedFile> files;
  std::vector<FileOutcome> outcomes;
  for (std::uint64_t number = 1; number <= paths.size(); ++number) {
    files.push_back(planned(number, 1, paths[number - 1]));
    outcomes.push_back(outcome(number, FileState::committed));
    outcomes.back().size_bytes = 7;
    outcomes.back().list_digest = "sha256:" + std::to_string(number);
    if (files.back().path != "wrong") continue;
    outcomes.back().state = FileState::failed;
    outcomes.back().error = make_error(ErrorKind::integrity, "verify", "wrong", "reads back with other content");
  }
  ASSERT_TRUE(ok(awaited(store.plans.create(plan))));
  ASSERT_TRUE(ok(awaited(store.plans.add_files(id, files))));
  ASSERT_TRUE(ok(awaited(store.plans.finish(plan))));
  const auto lease = awaited(store.leases.take(id, 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  ASSERT_TRUE(ok(awaited(store.leases.checkpoint(*lease, outcomes, HistoryScope{pair, "chain", sums}))));
  ASSERT_TRUE(ok(awaited(store.leases.release(*lease))));
}

void downgrade(StateFixture& state) {
  state.sql("DROP INDEX cv_pairs_by_identity");
  state.sql("UPDATE cv_pairs SET pair = " + state.literal(displayed.source + "\n" + displayed.target));
  for (const char* column :
       {"cv_pairs DROP COLUMN source", "cv_pairs DROP COLUMN target", "cv_published DROP COLUMN target_etag",
        "cv_published DROP COLUMN used_ms", "cv_failures DROP COLUMN code", "cv_failures DROP COLUMN hint",
        "cv_failures DROP COLUMN endpoint"})
    state.sql(std::string("ALTER TABLE ") + column);
  state.sql("DROP TABLE cv_lists_by_name");
  state.sql("DROP TABLE cv_retention");
  state.sql("DROP TABLE cv_partial_uploads");
  state.sql("UPDATE cv_lists SET target = " + state.literal(displayed.target));
  state.sql("UPDATE cv_schema SET version = 3");
}

// A history of four files, of which a plan that is kept published two, and this version of one: "proven".
void make_old_state(StateFixture& state) {
  const auto store = state.open();
  ASSERT_TRUE(ok(store));
  write_plan(**store, "pruned", {"gone", "older", "wrong"});
  write_plan(**store, "kept", {"proven", "older"});
  const ListKey key{pair.target, sums};
  ASSERT_TRUE(awaited((*store)->lists.take(key, "w", "tmp", "", long_ttl))->taken);
  ASSERT_TRUE(ok(awaited((*store)->lists.release(key, "tmp", {"xxh128:1", 70}))));
  state.sql("DELETE FROM cv_files WHERE plan = 'pruned'");
  state.sql("DELETE FROM cv_plans WHERE id = 'pruned'");
  state.sql("UPDATE cv_published SET size_bytes = 99 WHERE path = " + state.literal("older"));
  downgrade(state);
}

std::vector<std::string> chains(StateStore& store, const PairKey& of) {
  std::vector<std::string> found;
  const auto records = awaited(store.history.page(of, "", 10));
  EXPECT_TRUE(ok(records));
  for (const HistoryRecord& record : *records) found.push_back(record.path + ": " + record.chain);
  return found;
}

TEST_P(StateStoreSuite, NamesOldHistoriesWithThePlansThatAreKept) {
  ASSERT_NO_FATAL_FAILURE(make_old_state(*fixture_));
  store_ = open();
  ASSERT_TRUE(store_);
  auto found = awaited(store_->history.unclaimed(pair, displayed.target));
  ASSERT_TRUE(ok(found));
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->at(0).displayed, displayed);
  EXPECT_EQ(found->at(0).jobs, (std::vector<std::string>{"{\"job\":\"kept\"}"}));
  EXPECT_TRUE(awaited(store_->history.unclaimed(pair, "s3://other"))->empty());
  EXPECT_TRUE(chains(*store_, pair).empty());
  EXPECT_TRUE(chains(*store_, displayed).empty());
}

TEST_P(StateStoreSuite, AnOldHistoryProvesOnlyWhatAKeptPlanPublished) {
  ASSERT_NO_FATAL_FAILURE(make_old_state(*fixture_));
  store_ = open();
  ASSERT_TRUE(store_);
  ASSERT_TRUE(ok(awaited(store_->history.claim(displayed, pair))));
  EXPECT_EQ(chains(*store_, pair),
            (std::vector<std::string>{"gone: in doubt", "older: in doubt", "proven: chain", "wrong: in doubt"}));
  EXPECT_EQ(awaited(store_->lists.find({pair.target, sums}))->digest, "");
  EXPECT_EQ(awaited(store_->lists.find({pair.target, sums}))->bytes, 70U);
  EXPECT_EQ(awaited(store_->lists.find({displayed.target, sums}))->bytes, 0U);
  EXPECT_EQ(awaited(store_->history.page(pair, "proven", 1))->at(0).list_digest, "sha256:1");
  // Once.
  ASSERT_TRUE(ok(awaited(store_->history.claim(displayed, {"other", "out"}))));
  EXPECT_TRUE(chains(*store_, {"other", "out"}).empty());
  EXPECT_TRUE(awaited(store_->history.unclaimed({"other", "out"}, displayed.target))->empty());
}

TEST_P(StateStoreSuite, DoubtsOfAnOldHistoryAreCopied) {
  ASSERT_NO_FATAL_FAILURE(make_old_state(*fixture_));
  store_ = open();
  ASSERT_TRUE(store_);
  ASSERT_TRUE(ok(awaited(store_->history.claim_doubts(displayed, pair))));
  EXPECT_EQ(chains(*store_, pair), std::vector<std::string>{"wrong: in doubt"});
  EXPECT_EQ(awaited(store_->lists.find({pair.target, sums}))->bytes, 0U);
  EXPECT_TRUE(awaited(store_->history.unclaimed(pair, displayed.target))->empty()); // it is known now
  ASSERT_TRUE(ok(awaited(store_->history.claim(displayed, pair))));
  EXPECT_EQ(chains(*store_, pair).size(), 1U);
  ASSERT_TRUE(ok(awaited(store_->history.claim(displayed, {"other", "out"})))); // another finds the rest
  EXPECT_EQ(chains(*store_, {"other", "out"}).size(), 4U);
}

// Texts of new pairs never are those of old ones.
TEST_P(StateStoreSuite, AnIdentityIsNotTheDisplayNameOfTheSameText) {
  ASSERT_NO_FATAL_FAILURE(make_old_state(*fixture_));
  store_ = open();
  ASSERT_TRUE(store_);
  make_plan("p", 1, 1);
  const auto own = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(own);
  ASSERT_TRUE(ok(awaited(
      store_->leases.checkpoint(*own, std::vector{outcome(1, FileState::committed)}, HistoryScope{displayed, ""}))));
  EXPECT_EQ(chains(*store_, displayed).size(), 1U);
  EXPECT_EQ(awaited(store_->history.unclaimed(pair, displayed.target))->size(), 1U);
}

} // namespace
} // namespace checkvalve::test
