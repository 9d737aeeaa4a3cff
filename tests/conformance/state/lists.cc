// Lists of checksums: what the records say of them, and that one worker at a time writes each.
#include "suite.h"

namespace checkvalve::test {
namespace {

const ListKey sums{"sftp://target/out \xff", "SHA256SUMS"};

TEST_P(StateStoreSuite, RemembersWhatAListSaysOfAFile) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  std::vector<PlannedFile> files = {planned(1, 1, "a"), planned(2, 1, "b"), planned(3, 1, "c"), planned(4, 1, "d")};
  files[1].target_path = "b\xff.gz";
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", files))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  std::vector<FileOutcome> outcomes;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    outcomes.push_back(outcome(number, FileState::committed));
    if (number != 3) outcomes.back().list_digest = "sha256:" + std::to_string(number); // 3: a link, say
  }
  outcomes[3] = outcome(4, FileState::failed);
  outcomes[3].list_digest = "sha256:4";
  outcomes[3].error = make_error(ErrorKind::integrity, "verify", "d", "reads back with other content");
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, outcomes, HistoryScope{pair, "chain", "SUMS\xff"}))));

  auto records = awaited(store_->history.page(pair, "", 10));
  ASSERT_TRUE(ok(records));
  ASSERT_EQ(records->size(), 4U);
  EXPECT_EQ(records->at(0).list, "SUMS\xff");
  EXPECT_EQ(records->at(0).list_digest, "sha256:1");
  EXPECT_EQ(records->at(0).target_path, "");
  EXPECT_GT(records->at(0).published_ms, 1'700'000'000'000);
  EXPECT_EQ(records->at(1).target_path, "b\xff.gz");
  for (const std::size_t unlisted : {2U, 3U}) {
    EXPECT_EQ(records->at(unlisted).list, "");
    EXPECT_EQ(records->at(unlisted).list_digest, "");
  }
  EXPECT_EQ(records->at(3).chain, chain_in_doubt);

  // Published again, listed nowhere.
  ASSERT_TRUE(
      ok(awaited(store_->leases.checkpoint(*lease, std::span(outcomes).first(1), HistoryScope{pair, "other"}))));
  EXPECT_EQ(awaited(store_->history.page(pair, "", 1))->at(0).list, "");
}

TEST_P(StateStoreSuite, FindsThePairsOfATarget) {
  make_plan("p", 1, 1);
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  const PairKey pairs[] = {{"a", "out"},     {"b\xff", "out"}, {"a", "out2"},
                           {"a\nin", "out"}, {"a", "in\nout"}, {"", "t"}};
  for (const PairKey& each : pairs)
    ASSERT_TRUE(ok(awaited(
        store_->leases.checkpoint(*lease, std::vector{outcome(1, FileState::committed)}, HistoryScope{each, ""}))));
  const auto found = awaited(store_->history.pairs_to("out"));
  ASSERT_TRUE(ok(found));
  EXPECT_EQ(*found, (std::vector<PairKey>{pairs[0], pairs[3], pairs[1]}));
  EXPECT_TRUE(awaited(store_->history.pairs_to("none"))->empty());
}

TEST_P(StateStoreSuite, OneWorkerAtATimeHasAList) {
  const auto other = open();
  EXPECT_EQ(awaited(store_->lists.find(sums))->digest, "");
  const auto taken = awaited(store_->lists.take(sums, "one\xff", "tmp-1", "", long_ttl));
  ASSERT_TRUE(ok(taken));
  EXPECT_TRUE(taken->taken);
  EXPECT_EQ(taken->orphan, "");
  const auto refused = awaited(other->lists.take(sums, "two", "tmp-2", "", long_ttl));
  ASSERT_TRUE(ok(refused));
  EXPECT_FALSE(refused->taken);
  EXPECT_EQ(refused->holder, "one\xff");
  EXPECT_TRUE(awaited(other->lists.take({sums.target, "MD5SUMS"}, "two", "tmp-2", "", long_ttl))->taken);
  EXPECT_TRUE(awaited(other->lists.take({"elsewhere", sums.name}, "two", "tmp-2", "", long_ttl))->taken);

  EXPECT_TRUE(ok(awaited(store_->lists.renew(sums, "tmp-1", long_ttl))));
  EXPECT_TRUE(fails(awaited(other->lists.renew(sums, "tmp-2", long_ttl)), ErrorKind::lease));
  ASSERT_TRUE(ok(awaited(store_->lists.release(sums, "tmp-1", {"xxh128:1", 70}))));
  EXPECT_EQ(awaited(other->lists.find(sums))->digest, "xxh128:1");
  EXPECT_EQ(awaited(other->lists.find(sums))->bytes, 70U);

  // While it is taken nobody knows what is there.
  const auto again = awaited(other->lists.take(sums, "two", "tmp-3", "", long_ttl));
  EXPECT_TRUE(again->taken);
  EXPECT_EQ(again->orphan, "");
  EXPECT_EQ(awaited(store_->lists.find(sums))->digest, "");
  EXPECT_EQ(awaited(store_->lists.find(sums))->bytes, 70U);
}

TEST_P(StateStoreSuite, AListOfWhoIsGoneIsTakenOver) {
  ASSERT_TRUE(awaited(store_->lists.take(sums, "one", "tmp-1", "", no_ttl))->taken); // its time is over at once
  const auto over = awaited(store_->lists.take(sums, "two", "tmp-2", "", long_ttl));
  ASSERT_TRUE(ok(over));
  EXPECT_TRUE(over->taken);
  EXPECT_EQ(over->orphan, "tmp-1");
  EXPECT_TRUE(fails(awaited(store_->lists.renew(sums, "tmp-1", long_ttl)), ErrorKind::lease));

  EXPECT_FALSE(awaited(store_->lists.take(sums, "three", "tmp-3", "one", long_ttl))->taken);
  const auto known = awaited(store_->lists.take(sums, "three", "tmp-3", "two", long_ttl)); // it was killed
  EXPECT_TRUE(known->taken);
  EXPECT_EQ(known->orphan, "tmp-2");
  ASSERT_TRUE(ok(awaited(store_->lists.release(sums, "tmp-3", {"xxh128:3", 3}))));
  EXPECT_EQ(awaited(store_->lists.take(sums, "four", "tmp-4", "", long_ttl))->orphan, "");
}

TEST_P(StateStoreSuite, APlanSaysWhyItsListCouldNotBeWritten) {
  make_plan("p", 1, 1);
  const FailureRecord refused{0, sums.name, make_error(ErrorKind::exists, "plan", sums.name, "has the list's name")};
  ASSERT_TRUE(ok(awaited(store_->plans.add_failures("p", std::vector{refused}))));
  for (const char* message : {"disk full", "disk still full"}) {
    const FailureRecord failed{0, sums.name, make_error(ErrorKind::no_space, "write", sums.name, message)};
    ASSERT_TRUE(ok(awaited(store_->plans.set_list_failure("p", failed))));
  }
  auto found = awaited(store_->plans.failures("p", 0, 10));
  ASSERT_TRUE(ok(found));
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(1).error.message, "disk still full");
  EXPECT_EQ(found->at(1).batch, 0U);
  ASSERT_TRUE(ok(awaited(store_->plans.set_list_failure("p", {}))));
  found = awaited(store_->plans.failures("p", 0, 10));
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->at(0).error.kind, ErrorKind::exists);
  EXPECT_TRUE(fails(awaited(store_->plans.set_list_failure("none", {})), ErrorKind::state));
}

// Who lost the list may have published after who took it over.
TEST_P(StateStoreSuite, AListThatTwoHaveWrittenIsUnknown) {
  for (const bool taken_over_is_done : {true, false}) {
    ASSERT_TRUE(awaited(store_->lists.take(sums, "one", "tmp-1", "", no_ttl))->taken);
    ASSERT_TRUE(awaited(store_->lists.take(sums, "two", "tmp-2", "", long_ttl))->taken);
    if (taken_over_is_done) ASSERT_TRUE(ok(awaited(store_->lists.release(sums, "tmp-2", {"xxh128:2", 2}))));
    EXPECT_TRUE(fails(awaited(store_->lists.release(sums, "tmp-1", {"xxh128:1", 1})), ErrorKind::lease));
    EXPECT_EQ(awaited(store_->lists.find(sums))->digest, "");
    if (!taken_over_is_done)
      EXPECT_TRUE(fails(awaited(store_->lists.release(sums, "tmp-2", {"xxh128:2", 2})), ErrorKind::lease));
    EXPECT_EQ(awaited(store_->lists.find(sums))->digest, "");
  }
}

} // namespace
} // namespace checkvalve::test
