#include "suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace checkvalve::test {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

PlanRecord plan_record(const std::string& id) {
  PlanRecord plan;
  plan.id = id;
  plan.created_ms = 1'700'000'000'000;
  plan.source = "sftp://source/in";
  plan.target = "sftp://target/out";
  plan.job_json = R"({"name":"ä"})";
  return plan;
}

PlannedFile planned(std::uint64_t number, std::uint32_t batch, std::string path, std::uint64_t size_bytes) {
  PlannedFile file;
  file.number = number;
  file.batch = batch;
  file.path = std::move(path);
  file.size_bytes = size_bytes;
  return file;
}

FileOutcome outcome(std::uint64_t number, FileState state) {
  FileOutcome outcome;
  outcome.number = number;
  outcome.state = state;
  outcome.bytes = 10;
  outcome.size_bytes = 10;
  outcome.digest = "xxh128:00112233445566778899aabbccddeeff";
  outcome.target_digest = outcome.digest;
  outcome.method = "posix-rename";
  outcome.attempts = 1;
  if (state == FileState::failed)
    outcome.error = make_error(ErrorKind::permission, "open", "in/f", "permission denied");
  return outcome;
}

void StateStoreSuite::SetUp() {
  fixture_ = GetParam().make();
  if (!fixture_) GTEST_SKIP() << "this store can't be tested here";
  store_ = open();
  ASSERT_TRUE(store_);
}

std::unique_ptr<StateStore> StateStoreSuite::open() {
  auto store = fixture_->open();
  EXPECT_TRUE(ok(store));
  return store ? std::move(*store) : nullptr;
}

void StateStoreSuite::make_plan(const std::string& id, std::uint32_t batches, std::uint64_t files) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record(id)))));
  std::vector<PlannedFile> all;
  for (std::uint32_t batch = 1; batch <= batches; ++batch)
    for (std::uint64_t i = 0; i < files; ++i) {
      const std::uint64_t number = all.size() + 1;
      all.push_back(planned(number, batch, "b" + std::to_string(batch) + "/f" + std::to_string(number)));
    }
  ASSERT_TRUE(ok(awaited(store_->plans.add_files(id, all))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record(id)))));
}

TEST_P(StateStoreSuite, KeepsAPlanAsItWasWritten) {
  PlanRecord plan = plan_record("abcdefghij");
  plan.source = "file:///\xff\xfe";
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan))));
  EXPECT_EQ(awaited(store_->plans.find("abcdefghij"))->state, PlanState::planning);
  ASSERT_TRUE(ok(awaited(store_->plans.add_files(plan.id, std::vector{planned(1, 1, "a", 5), planned(2, 2, "b", 7)}))));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files(plan.id, std::vector{planned(3, 1, "c", 1)}))));
  plan.skipped = 4;
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan))));

  const auto kept = awaited(open()->plans.find("abcdefghij")); // by another worker
  ASSERT_TRUE(ok(kept));
  EXPECT_EQ(kept->state, PlanState::ready);
  EXPECT_EQ(kept->created_ms, plan.created_ms);
  EXPECT_EQ(kept->source, plan.source);
  EXPECT_EQ(kept->target, plan.target);
  EXPECT_EQ(kept->job_json, plan.job_json);
  EXPECT_EQ(kept->files, 3U);
  EXPECT_EQ(kept->bytes, 13U);
  EXPECT_EQ(kept->skipped, 4U);
  EXPECT_EQ(kept->batches, 2U);

  const auto batches = awaited(store_->plans.batches(plan.id));
  ASSERT_TRUE(ok(batches));
  ASSERT_EQ(batches->size(), 2U);
  EXPECT_EQ(batches->at(0).number, 1U);
  EXPECT_EQ(batches->at(0).files, 2U);
  EXPECT_EQ(batches->at(0).bytes, 6U);
  EXPECT_EQ(batches->at(0).state, BatchState::pending);
  EXPECT_EQ(batches->at(0).generation, 0U);
  EXPECT_EQ(batches->at(1).bytes, 7U);
}

TEST_P(StateStoreSuite, KeepsEachFieldOfAFile) {
  PlannedFile full = planned(1, 1, "d/\xc3\xa4 \xff\n'\"%_", 1ULL << 40);
  full.action = FileAction::link;
  full.target_path = "e/\x80.gz";
  full.mtime_ns = -1'500'000'000;
  full.mode = 04755;
  full.etag = std::string("\"v\0\xff\"", 5);
  full.replaces = true;
  const PlannedFile bare = planned(2, 1, "b", 0);
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", std::vector{full, bare}))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto files = awaited(store_->plans.open_files("p", 1, 0, 10));
  ASSERT_TRUE(ok(files));
  ASSERT_EQ(files->size(), 2U);
  const PlannedFile& kept = files->at(0);
  EXPECT_EQ(kept.number, 1U);
  EXPECT_EQ(kept.batch, 1U);
  EXPECT_EQ(kept.action, FileAction::link);
  EXPECT_EQ(kept.path, full.path);
  EXPECT_EQ(kept.target_path, full.target_path);
  EXPECT_EQ(kept.size_bytes, full.size_bytes);
  EXPECT_EQ(kept.mtime_ns, full.mtime_ns);
  EXPECT_EQ(kept.mode, full.mode);
  EXPECT_EQ(kept.etag, full.etag);
  EXPECT_TRUE(kept.replaces);
  EXPECT_EQ(files->at(1).mtime_ns, std::nullopt);
  EXPECT_EQ(files->at(1).mode, std::nullopt);
  EXPECT_EQ(files->at(1).target_path, "");
  EXPECT_FALSE(files->at(1).replaces);
}

TEST_P(StateStoreSuite, APlanIsWrittenOnce) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  EXPECT_TRUE(fails(awaited(store_->plans.create(plan_record("p"))), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->leases.take("p", 1, "w", long_ttl)), ErrorKind::state)); // not finished
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", std::vector{planned(1, 1, "a")}))));
  EXPECT_TRUE(fails(awaited(store_->leases.take("p", 1, "w", long_ttl)), ErrorKind::state));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  EXPECT_TRUE(fails(awaited(store_->plans.add_files("p", std::vector{planned(2, 1, "b")})), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->plans.finish(plan_record("p"))), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->plans.add_files("q", std::vector{planned(1, 1, "a")})), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->plans.finish(plan_record("q"))), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->leases.take("p", 2, "w", long_ttl)), ErrorKind::state));
  EXPECT_TRUE(fails(awaited(store_->leases.take("q", 1, "w", long_ttl)), ErrorKind::state));
}

TEST_P(StateStoreSuite, FilesOfAFailedCallAreNotKept) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", std::vector{planned(1, 1, "a")}))));
  EXPECT_TRUE(fails(awaited(store_->plans.add_files("p", std::vector{planned(2, 1, "b"), planned(1, 1, "a")})),
                    ErrorKind::state));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", std::vector{planned(2, 1, "b")})))); // the store still works
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  EXPECT_EQ(awaited(store_->plans.find("p"))->files, 2U);
}

TEST_P(StateStoreSuite, APlanWithoutFilesIsDone) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::done);
  EXPECT_TRUE(awaited(store_->plans.batches("p"))->empty());
}

TEST_P(StateStoreSuite, SizesBeyondAnyDiskDoNotBreakAPlan) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  ASSERT_TRUE(ok(
      awaited(store_->plans.add_files("p", std::vector{planned(1, 1, "a", UINT64_MAX), planned(2, 1, "b", UINT64_MAX),
                                                       planned(3, 2, "c", UINT64_MAX)}))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  EXPECT_GE(awaited(store_->plans.find("p"))->bytes, 1ULL << 62);
}

TEST_P(StateStoreSuite, FindsPlansByAnUnambiguousPrefix) {
  for (const char* id : {"abc1", "abc2", "abd", "ab"}) ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record(id)))));
  EXPECT_EQ(awaited(store_->plans.find("abd"))->id, "abd");
  EXPECT_EQ(awaited(store_->plans.find("abc1"))->id, "abc1");
  EXPECT_EQ(awaited(store_->plans.find("ab"))->id, "ab"); // exactly
  const auto ambiguous = awaited(store_->plans.find("abc"));
  ASSERT_TRUE(fails(ambiguous, ErrorKind::state));
  EXPECT_NE(ambiguous.error().message.find("abc1"), std::string::npos);
  EXPECT_NE(ambiguous.error().message.find("abc2"), std::string::npos);
  for (const char* none : {"x", "", "abc12", "%", "a_c"})
    EXPECT_TRUE(fails(awaited(store_->plans.find(none)), ErrorKind::state)) << none;
}

TEST_P(StateStoreSuite, ListsTheNewestPlansFirst) {
  for (int i = 1; i <= 4; ++i) {
    PlanRecord plan = plan_record("p" + std::to_string(i));
    plan.created_ms = 1000 * (1 + i % 3);
    ASSERT_TRUE(ok(awaited(store_->plans.create(plan))));
  }
  const auto plans = awaited(store_->plans.newest(3));
  ASSERT_TRUE(ok(plans));
  ASSERT_EQ(plans->size(), 3U);
  EXPECT_EQ(plans->at(0).id, "p2");
  EXPECT_EQ(plans->at(1).id, "p1");
  EXPECT_EQ(plans->at(2).id, "p4");
}

TEST_P(StateStoreSuite, PagesThroughOpenFilesByNumber) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  std::vector<PlannedFile> files;
  for (std::uint64_t number = 1; number <= 200; ++number)
    files.push_back(planned(number, number % 2 ? 1 : 2, "f" + std::to_string(number)));
  std::reverse(files.begin(), files.end());
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", files))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto lease = awaited(store_->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      *lease,
      std::vector{outcome(3, FileState::committed), outcome(5, FileState::skipped), outcome(7, FileState::failed)},
      {}))));
  std::vector<std::uint64_t> seen;
  for (std::uint64_t after = 0;;) {
    const auto page = awaited(store_->plans.open_files("p", 1, after, 7));
    ASSERT_TRUE(ok(page));
    if (page->empty()) break;
    EXPECT_LE(page->size(), 7U);
    for (const PlannedFile& file : *page) seen.push_back(file.number);
    after = page->back().number;
  }
  std::vector<std::uint64_t> expected = {1};
  for (std::uint64_t number = 7; number <= 200; number += 2) expected.push_back(number);
  EXPECT_EQ(seen, expected);
}

TEST_P(StateStoreSuite, ListsFailuresByPathBytes) {
  ASSERT_TRUE(ok(awaited(store_->plans.create(plan_record("p")))));
  Error listing = {ErrorKind::permission, ErrorStatus::exhausted, "list", "in/\xff", "denied: \xfe"};
  listing.hint = "ask \xff for access";
  listing.code = ErrorCode::source_root_missing;
  listing.endpoint = "sftp://host/in\xff";
  ASSERT_TRUE(ok(awaited(store_->plans.add_failures(
      "p", std::vector{FailureRecord{0, "\xff", listing}, FailureRecord{0, "a/b", listing},
                       FailureRecord{0, "a b", listing}, FailureRecord{0, "a b", listing}}))));
  EXPECT_TRUE(
      fails(awaited(store_->plans.add_failures("q", std::vector{FailureRecord{0, "a", listing}})), ErrorKind::state));
  ASSERT_TRUE(ok(awaited(store_->plans.add_files("p", std::vector{planned(1, 3, "a/a")}))));
  ASSERT_TRUE(ok(awaited(store_->plans.finish(plan_record("p")))));
  const auto lease = awaited(store_->leases.take("p", 3, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(*lease, std::vector{outcome(1, FileState::failed)}, {}))));

  std::vector<FailureRecord> all;
  for (;;) {
    const auto page = awaited(store_->plans.failures("p", all.size(), 2));
    ASSERT_TRUE(ok(page));
    all.insert(all.end(), page->begin(), page->end());
    if (page->size() < 2) break;
  }
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0].path, "a b");
  EXPECT_EQ(all[1].path, "a b");
  EXPECT_EQ(all[2].path, "a/a");
  EXPECT_EQ(all[2].batch, 3U);
  EXPECT_EQ(all[2].error.kind, ErrorKind::permission);
  EXPECT_EQ(all[2].error.message, "permission denied");
  EXPECT_EQ(all[3].path, "a/b");
  EXPECT_EQ(all[4].path, "\xff");
  EXPECT_EQ(all[4].batch, 0U);
  EXPECT_EQ(all[4].error.status, ErrorStatus::exhausted);
  EXPECT_EQ(all[4].error.operation, "list");
  EXPECT_EQ(all[4].error.path, listing.path);
  EXPECT_EQ(all[4].error.message, listing.message);
  EXPECT_EQ(all[4].error.hint, listing.hint);
  EXPECT_EQ(all[4].error.code, listing.code);
  EXPECT_EQ(all[4].error.endpoint, listing.endpoint);
  EXPECT_EQ(all[2].error.code, ErrorCode::of_kind);
}

TEST_P(StateStoreSuite, KeepsRuns) {
  RunRecord run{"r1", "p", "host\xff", 42, 1000, 0, ""};
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run(run))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r2", "p", "h", 43, 2000, 0, ""}))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r3", "", "h", 44, 3000, 0, ""}))));
  ASSERT_TRUE(ok(awaited(store_->plans.end_run("r1", "{}"))));
  EXPECT_TRUE(fails(awaited(store_->plans.end_run("none", "{}")), ErrorKind::state));
  const auto of_plan = awaited(store_->plans.runs("p", 10));
  ASSERT_TRUE(ok(of_plan));
  ASSERT_EQ(of_plan->size(), 2U);
  EXPECT_EQ(of_plan->at(0).id, "r2");
  EXPECT_EQ(of_plan->at(0).ended_ms, 0);
  EXPECT_EQ(of_plan->at(1).host, run.host);
  EXPECT_EQ(of_plan->at(1).process, 42);
  EXPECT_GT(of_plan->at(1).ended_ms, plan_record("p").created_ms);
  EXPECT_EQ(of_plan->at(1).summary_json, "{}");
  const auto all = awaited(store_->plans.runs("", 2));
  ASSERT_TRUE(ok(all));
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->at(0).id, "r3");
}

TEST_P(StateStoreSuite, PrunesWhatIsOldAndNotWorkedOn) {
  make_plan("old", 1, 2);
  make_plan("busy", 1, 2);
  PlanRecord recent = plan_record("new");
  recent.created_ms = 0; // the store's clock
  ASSERT_TRUE(ok(awaited(store_->plans.create(recent))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r-old", "old", "h", 1, 1000, 0, ""}))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r-busy", "busy", "h", 1, 1000, 0, ""}))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r-none", "", "h", 1, 1000, 0, ""}))));
  ASSERT_TRUE(ok(awaited(store_->plans.begin_run({"r-new", "", "h", 1, 0, 0, ""}))));
  const auto old = awaited(store_->leases.take("old", 1, "w", no_ttl))->lease; // expires at once
  ASSERT_TRUE(old);
  ASSERT_TRUE(ok(awaited(store_->leases.checkpoint(
      *old, std::vector{outcome(1, FileState::committed), outcome(2, FileState::failed)}, HistoryScope{pair, ""}))));
  const auto busy = awaited(store_->leases.take("busy", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(busy);

  ASSERT_TRUE(ok(awaited(store_->plans.prune(std::chrono::hours(24)))));
  EXPECT_TRUE(fails(awaited(store_->plans.find("old")), ErrorKind::state));
  EXPECT_TRUE(awaited(store_->plans.batches("old"))->empty());
  EXPECT_TRUE(awaited(store_->plans.open_files("old", 1, 0, 10))->empty());
  EXPECT_TRUE(awaited(store_->plans.failures("old", 0, 10))->empty());
  EXPECT_TRUE(fails(awaited(store_->leases.checkpoint(*old, {}, {})), ErrorKind::state));
  EXPECT_TRUE(ok(awaited(store_->plans.find("busy"))));
  EXPECT_TRUE(ok(awaited(store_->plans.find("new"))));
  EXPECT_EQ(awaited(store_->plans.open_files("busy", 1, 0, 10))->size(), 2U);
  EXPECT_TRUE(ok(awaited(store_->leases.checkpoint(*busy, std::vector{outcome(1, FileState::committed)}, {}))));
  EXPECT_EQ(awaited(store_->history.page(pair, "", 10))->size(), 1U);
  std::set<std::string> runs;
  for (const RunRecord& run : *awaited(store_->plans.runs("", 10))) runs.insert(run.id);
  EXPECT_EQ(runs, (std::set<std::string>{"r-busy", "r-new"}));
}

} // namespace checkvalve::test
