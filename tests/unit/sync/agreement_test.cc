// What verify finds different is what the next sync copies.
#include <fmt/format.h>

#include "core/units.h"
#include "sync/history.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::second;
using testing_support::SyncFixture;

class Agreement : public SyncFixture {
public:
  std::vector<std::string> differences() {
    Engine shared = parts();
    Connections both = connections().value();
    const auto report = engine.run(verify_connections(shared, job, both));
    EXPECT_OK(report);
    std::vector<std::string> out;
    if (report)
      for (const Difference& each : report->differences) out.push_back(each.path + ": " + each.reason);
    return out;
  }
  std::uint64_t planned() { return plan(true).value().files_planned; }
};

TEST_F(Agreement, HoldsHoweverTheTargetKeepsTimes) {
  struct Row {
    std::string sentence;
    std::function<void(Job&)> set;
    std::string reason;
  };
  const std::vector<Row> rows = {
      {"the target keeps times", [](Job&) {}, "mtime"},
      {"the target keeps none", [](Job& job) { job.target.options["keeps_mtime"] = "no"; }, "history"},
      {"times are not preserved", [](Job& job) { job.preserve_mtime = false; }, "history"},
      {"files go through transforms", [](Job& job) { job.transforms = {parse_transform_call("gzip").value()}; },
       "history"},
  };
  int number = 0;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.sentence);
    const Job before = job;
    row.set(job);
    job.target.root += fmt::format("-{}", ++number); // each row has a target of its own
    target->put_directory(job.target.root.substr(job.target.root.find_first_not_of('/')));
    put(*source, "in/x.txt", "alpha", 1'000 * second);
    put(*source, "in/y.txt", "beta", 1'000 * second);
    ASSERT_OK(sync());
    EXPECT_TRUE(differences().empty());
    EXPECT_EQ(planned(), 0U);
    put(*source, "in/x.txt", "ALPHA", 1'001 * second);
    EXPECT_EQ(differences(), std::vector{"x.txt: " + row.reason});
    EXPECT_EQ(planned(), 1U);
    job = before;
  }
}

// Like a server that refuses to set times: the memory target ignores them with keeps_mtime = no.
TEST_F(Agreement, HoldsWhereAServerRefusedToSetTimes) {
  put(*source, "in/x.txt", "alpha", 1'000 * second);
  job.target.options["keeps_mtime"] = "no";
  ASSERT_OK(sync());
  job.target.options.erase("keeps_mtime");
  EXPECT_TRUE(differences().empty());
  EXPECT_EQ(planned(), 0U);
  put(*source, "in/x.txt", "ALPHA", 1'001 * second);
  EXPECT_EQ(differences(), std::vector<std::string>{"x.txt: mtime"});
  EXPECT_EQ(planned(), 1U);
}

TEST_F(Agreement, HoldsForWhatIsInDoubt) {
  put(*source, "in/x.txt", "alpha", 1'000 * second);
  const auto first = plan();
  ASSERT_OK(first);
  const auto lease = awaited(store->leases.take(first->plan, 1, "killed", std::chrono::milliseconds(0)))->lease;
  ASSERT_TRUE(lease);
  ASSERT_OK(awaited(store->leases.doubt_batch(*lease, identities(job).value())));
  put(*target, "out/x.txt", "alpha", 1'000 * second);
  EXPECT_EQ(differences(), std::vector<std::string>{"x.txt: in_doubt"});
  EXPECT_EQ(planned(), 1U);
}

TEST_F(Agreement, HoldsForTypesAndForWhatIsMissing) {
  put(*source, "in/a", "a", second);
  put(*source, "in/b", "b", second);
  put(*source, "in/c", "c", second);
  put(*target, "out/a/inside", "a", second);
  put(*target, "out/only there", "x", second);
  put(*target, "out/c", "c", second);
  EXPECT_EQ(differences(), (std::vector<std::string>{"a: type", "b: missing"}));
  const auto dry = plan(true);
  ASSERT_OK(dry);
  EXPECT_EQ(dry->files_planned, 1U);
  EXPECT_EQ(dry->files_failed, 1U);
  EXPECT_EQ(dry->files_skipped, 1U);
}

// Within the coarser tick of both endpoints, a file may be written again without a trace.
TEST_F(Agreement, AFileOfThisSecondIsReadOnceTheSecondOfACoarserTargetIsOver) {
  job.source.options["mtime_precision_ns"] = "1";
  job.target.options["mtime_precision_ns"] = "1000000000";
  const std::int64_t second_ms = now_ms() / 1'000 * 1'000;
  put(*source, "in/file", "content", second_ms * 1'000'000 + 1);
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_GE(now_ms(), second_ms + 1'000);
}

} // namespace
} // namespace checkvalve
