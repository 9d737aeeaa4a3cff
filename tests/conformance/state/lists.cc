// Lists of checksums: what the records say of them, and that one worker at a time writes each.
#include "suite.h"

namespace checkvalve::test {
namespace {

const ListKey sums{"sftp://target/out \xff", "SHA256SUMS"};

TEST_P(StateStoreSuite, RemembersWhatAListSaysOfAFile) {
  ASSERT_TRUE(ok(store_->create_plan(plan_record("p"))));
  std::vector<PlannedFile> files = {planned(1, 1, "a"), planned(2, 1, "b"), planned(3, 1, "c"), planned(4, 1, "d")};
  files[1].target_path = "b\xff.gz";
  ASSERT_TRUE(ok(store_->add_files("p", files)));
  ASSERT_TRUE(ok(store_->finish_plan(plan_record("p"))));
  const auto lease = store_->take_lease("p", 1, "w", long_ttl_ms)->lease;
  ASSERT_TRUE(lease);
  std::vector<FileOutcome> outcomes;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    outcomes.push_back(outcome(number, FileState::committed));
    if (number != 3) outcomes.back().list_digest = "sha256:" + std::to_string(number); // 3: a link, say
  }
  outcomes[3] = outcome(4, FileState::failed);
  outcomes[3].list_digest = "sha256:4";
  outcomes[3].error = make_error(ErrorKind::integrity, "verify", "d", "reads back with other content");
  ASSERT_TRUE(ok(store_->checkpoint(*lease, outcomes, StateStore::HistoryScope{"in\nout", "chain", "SUMS\xff"})));

  auto records = store_->published("in\nout", "", 10);
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
      ok(store_->checkpoint(*lease, std::span(outcomes).first(1), StateStore::HistoryScope{"in\nout", "other"})));
  EXPECT_EQ(store_->published("in\nout", "", 1)->at(0).list, "");
}

TEST_P(StateStoreSuite, FindsThePairsOfATarget) {
  make_plan("p", 1, 1);
  const auto lease = store_->take_lease("p", 1, "w", long_ttl_ms)->lease;
  ASSERT_TRUE(lease);
  for (const char* pair : {"a\nout", "b\xff\nout", "a\nout2", "a\nin/out", "t"})
    ASSERT_TRUE(ok(
        store_->checkpoint(*lease, std::vector{outcome(1, FileState::committed)}, StateStore::HistoryScope{pair, ""})));
  const auto found = store_->pairs_ending("\nout");
  ASSERT_TRUE(ok(found));
  EXPECT_EQ(*found, (std::vector<std::string>{"a\nout", "b\xff\nout"}));
  EXPECT_TRUE(store_->pairs_ending("\nnone")->empty());
}

TEST_P(StateStoreSuite, OneWorkerAtATimeHasAList) {
  const auto other = open();
  EXPECT_EQ(store_->list(sums)->digest, "");
  const auto taken = store_->take_list(sums, "one\xff", "tmp-1", "", long_ttl_ms);
  ASSERT_TRUE(ok(taken));
  EXPECT_TRUE(taken->taken);
  EXPECT_EQ(taken->orphan, "");
  const auto refused = other->take_list(sums, "two", "tmp-2", "", long_ttl_ms);
  ASSERT_TRUE(ok(refused));
  EXPECT_FALSE(refused->taken);
  EXPECT_EQ(refused->holder, "one\xff");
  EXPECT_TRUE(other->take_list({sums.target, "MD5SUMS"}, "two", "tmp-2", "", long_ttl_ms)->taken);
  EXPECT_TRUE(other->take_list({"elsewhere", sums.name}, "two", "tmp-2", "", long_ttl_ms)->taken);

  EXPECT_TRUE(ok(store_->renew_list(sums, "tmp-1", long_ttl_ms)));
  EXPECT_TRUE(fails(other->renew_list(sums, "tmp-2", long_ttl_ms), ErrorKind::lease));
  ASSERT_TRUE(ok(store_->release_list(sums, "tmp-1", {"xxh128:1", 70})));
  EXPECT_EQ(other->list(sums)->digest, "xxh128:1");
  EXPECT_EQ(other->list(sums)->bytes, 70U);

  // While it is taken nobody knows what is there.
  const auto again = other->take_list(sums, "two", "tmp-3", "", long_ttl_ms);
  EXPECT_TRUE(again->taken);
  EXPECT_EQ(again->orphan, "");
  EXPECT_EQ(store_->list(sums)->digest, "");
  EXPECT_EQ(store_->list(sums)->bytes, 70U);
}

TEST_P(StateStoreSuite, AListOfWhoIsGoneIsTakenOver) {
  ASSERT_TRUE(store_->take_list(sums, "one", "tmp-1", "", 0)->taken); // its time is over at once
  const auto over = store_->take_list(sums, "two", "tmp-2", "", long_ttl_ms);
  ASSERT_TRUE(ok(over));
  EXPECT_TRUE(over->taken);
  EXPECT_EQ(over->orphan, "tmp-1");
  EXPECT_TRUE(fails(store_->renew_list(sums, "tmp-1", long_ttl_ms), ErrorKind::lease));

  EXPECT_FALSE(store_->take_list(sums, "three", "tmp-3", "one", long_ttl_ms)->taken);
  const auto known = store_->take_list(sums, "three", "tmp-3", "two", long_ttl_ms); // it was killed
  EXPECT_TRUE(known->taken);
  EXPECT_EQ(known->orphan, "tmp-2");
  ASSERT_TRUE(ok(store_->release_list(sums, "tmp-3", {"xxh128:3", 3})));
  EXPECT_EQ(store_->take_list(sums, "four", "tmp-4", "", long_ttl_ms)->orphan, "");
}

TEST_P(StateStoreSuite, APlanSaysWhyItsListCouldNotBeWritten) {
  make_plan("p", 1, 1);
  const FailureRecord refused{0, sums.name, make_error(ErrorKind::exists, "plan", sums.name, "has the list's name")};
  ASSERT_TRUE(ok(store_->add_failures("p", std::vector{refused})));
  for (const char* message : {"disk full", "disk still full"}) {
    const FailureRecord failed{0, sums.name, make_error(ErrorKind::no_space, "write", sums.name, message)};
    ASSERT_TRUE(ok(store_->set_list_failure("p", failed)));
  }
  auto found = store_->failures("p", 0, 10);
  ASSERT_TRUE(ok(found));
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(1).error.message, "disk still full");
  EXPECT_EQ(found->at(1).batch, 0U);
  ASSERT_TRUE(ok(store_->set_list_failure("p", {})));
  found = store_->failures("p", 0, 10);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->at(0).error.kind, ErrorKind::exists);
  EXPECT_TRUE(fails(store_->set_list_failure("none", {}), ErrorKind::state));
}

// Who lost the list may have published after who took it over.
TEST_P(StateStoreSuite, AListThatTwoHaveWrittenIsUnknown) {
  for (const bool taken_over_is_done : {true, false}) {
    ASSERT_TRUE(store_->take_list(sums, "one", "tmp-1", "", 0)->taken);
    ASSERT_TRUE(store_->take_list(sums, "two", "tmp-2", "", long_ttl_ms)->taken);
    if (taken_over_is_done) ASSERT_TRUE(ok(store_->release_list(sums, "tmp-2", {"xxh128:2", 2})));
    EXPECT_TRUE(fails(store_->release_list(sums, "tmp-1", {"xxh128:1", 1}), ErrorKind::lease));
    EXPECT_EQ(store_->list(sums)->digest, "");
    if (!taken_over_is_done) EXPECT_TRUE(fails(store_->release_list(sums, "tmp-2", {"xxh128:2", 2}), ErrorKind::lease));
    EXPECT_EQ(store_->list(sums)->digest, "");
  }
}

} // namespace
} // namespace checkvalve::test
