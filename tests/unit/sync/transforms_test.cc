// Syncs with transforms: names, comparison on reruns, failures, side files.
#include <fmt/format.h>

#include "core/hash.h"
#include "unit/sync/sync_fixture.h"
#include "unit/transforms/run_chain.h"

namespace checkvalve {
namespace {

using testing_support::chain_of;
using testing_support::run_chain;
using testing_support::second;
using testing_support::SyncFixture;

class TransformedSync : public SyncFixture {
public:
  void use(std::vector<std::string> calls) {
    job.transforms.clear();
    for (const std::string& call : calls) job.transforms.push_back(parse_transform_call(call).value());
  }
  std::string unzipped(const std::string& path) {
    const auto* found = target->find(path);
    return found ? run_chain(chain_of({"gunzip"}).value(), *found->content).value().bytes : "missing";
  }
};

TEST_F(TransformedSync, PublishesUnderTheChainsNamesAndThenMovesNothing) {
  put(*source, "in/a.txt", "alpha", 1'000 * second);
  put(*source, "in/deep/empty", "", 2'000 * second);
  std::string large;
  for (std::uint64_t i = 0; large.size() < (9U << 20); ++i)
    large += fmt::format("{} line {}\n", i * 7919 % 1'000'003, i);
  put(*source, "in/large.csv", large, 3'000 * second);
  use({"gzip"});
  auto first = sync();
  ASSERT_OK(first);
  EXPECT_EQ(first->files_copied, 3U);
  EXPECT_EQ(first->files_failed, 0U);
  EXPECT_EQ(unzipped("out/a.txt.gz"), "alpha");
  EXPECT_EQ(unzipped("out/deep/empty.gz"), "");
  EXPECT_TRUE(unzipped("out/large.csv.gz") == large);
  EXPECT_EQ(files(*target, "out").size(), 3U);
  EXPECT_EQ(target->find("out/a.txt.gz")->mtime_ns, 1'000 * second);
  EXPECT_TRUE(target->temporaries().empty());

  const auto read_before = source->bytes_read;
  auto again = sync();
  ASSERT_OK(again);
  EXPECT_EQ(again->files_copied, 0U);
  EXPECT_EQ(again->files_skipped, 3U);
  EXPECT_EQ(source->bytes_read, read_before);
}

TEST_F(TransformedSync, ReportsTheDigestOfWhatWasPublished) {
  put(*source, "in/a.txt", "alpha", 1'000 * second);
  use({"gzip"});
  ASSERT_OK(sync());
  const auto published = engine.events.of<FilePublishedEvent>();
  ASSERT_EQ(published.size(), 1U);
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(*target->find("out/a.txt.gz")->content)));
  EXPECT_EQ(published[0].digest, hasher.digest());
  EXPECT_EQ(published[0].size_bytes, target->find("out/a.txt.gz")->content->size());
}

TEST_F(TransformedSync, AChangedSourceOrChainOrTargetMakesTheFileAgain) {
  put(*source, "in/a.txt", "4111", 1'000 * second);
  put(*source, "in/b.txt", "text", 1'000 * second);
  use({"redact pattern='[0-9]' keep_length=yes"}); // name and size stay: only the state can tell
  EXPECT_EQ(sync()->files_copied, 2U);
  EXPECT_EQ(*target->find("out/a.txt")->content, "****");
  EXPECT_EQ(sync()->files_copied, 0U);
  put(*source, "in/b.txt", "7ext", 2'000 * second);
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_EQ(*target->find("out/b.txt")->content, "*ext");
  use({"redact pattern='[0-9]' keep_length=yes with=#"});
  EXPECT_EQ(sync()->files_copied, 2U);
  EXPECT_EQ(*target->find("out/a.txt")->content, "####");
  put(*target, "out/a.txt", "meddled");
  EXPECT_EQ(sync()->files_copied, 1U);
  use({});
  EXPECT_EQ(sync()->files_copied, 2U);
  EXPECT_EQ(*target->find("out/a.txt")->content, "4111");
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(TransformedSync, AFileThatATransformRefusesFailsAlone) {
  put(*source, "in/bad.csv.gz", "this is not gzip", 1'000 * second);
  put(*source, "in/good.csv.gz", run_chain(chain_of({"gzip"}).value(), "good").value().bytes, 1'000 * second);
  put(*source, "in/cut.csv.gz", run_chain(chain_of({"gzip"}).value(), "cut").value().bytes.substr(0, 15),
      1'000 * second);
  use({"gunzip"});
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 1U);
  EXPECT_EQ(done->files_failed, 2U);
  EXPECT_FALSE(done->ended_by);
  EXPECT_EQ(files(*target, "out"), (std::map<std::string, std::string>{{"good.csv", "good"}}));
  EXPECT_TRUE(target->temporaries().empty());
  EXPECT_TRUE(engine.events.of<RetryEvent>().empty());
  for (const FailureRecord& failure : done->failures) {
    EXPECT_EQ(failure.error.kind, ErrorKind::transform);
    EXPECT_EQ(failure.error.operation, "transform gunzip");
  }
}

TEST_F(TransformedSync, TwoSourcesNeverBecomeOneName) {
  put(*source, "in/a.csv", "plain", 1'000 * second);
  put(*source, "in/a.csv.gz", run_chain(chain_of({"gzip"}).value(), "zipped").value().bytes, 1'000 * second);
  put(*source, "in/b.csv.gz", run_chain(chain_of({"gzip"}).value(), "b").value().bytes, 1'000 * second);
  use({"gunzip"});
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 2U);
  EXPECT_EQ(files(*target, "out"), (std::map<std::string, std::string>{{"b.csv", "b"}}));
}

TEST_F(TransformedSync, ASideFileNeverTakesTheNameOfAFile) {
  put(*source, "in/a", "a", 1'000 * second);
  put(*source, "in/a.sha256", "mine", 1'000 * second);
  use({"checksum"});
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures[0].path, "a.sha256");
  EXPECT_EQ(*target->find("out/a")->content, "a");
  EXPECT_NE(*target->find("out/a.sha256")->content, "mine");
}

TEST_F(TransformedSync, PublishesChecksumsOfWhatIsPublished) {
  put(*source, "in/d/a.txt", "hello\n", 1'000 * second);
  use({"gzip", "checksum"});
  EXPECT_EQ(sync()->files_copied, 1U);
  const auto there = files(*target, "out");
  EXPECT_EQ(there.size(), 2U);
  EXPECT_TRUE(there.at("d/a.txt.gz.sha256").ends_with("  a.txt.gz\n"));
  EXPECT_TRUE(target->temporaries().empty());
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(TransformedSync, PublishesThePartsAndTheFileItselfLast) {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += fmt::format("line {}\n", i);
  put(*source, "in/d/a.txt", text, 1'000 * second);
  put(*source, "in/d/empty.txt", "", 1'000 * second);
  use({"split lines=10", "gzip", "checksum"}); // 200 files of one: more than may wait at once
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 2U);
  const auto there = files(*target, "out");
  EXPECT_EQ(there.size(), 202U);
  std::string joined;
  for (int part = 1; part <= 100; ++part) joined += unzipped(fmt::format("out/d/a.{:04}.txt.gz", part));
  EXPECT_TRUE(joined == text);
  EXPECT_EQ(target->find("out/d/a.0077.txt.gz")->mtime_ns, 1'000 * second);
  EXPECT_EQ(unzipped("out/d/empty.0001.txt.gz"), "");
  EXPECT_TRUE(target->temporaries().empty());
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(TransformedSync, KeepsToTheOpenFilesOfTheTarget) {
  job.target.options["files_in_flight"] = "10";
  for (int i = 0; i < 50; ++i) put(*source, fmt::format("in/{}", i), "1\n2\n3\n", 1'000 * second);
  use({"checksum"});
  EXPECT_EQ(sync()->files_copied, 50U);
  EXPECT_LE(target->max_files_open, 10U);
}

TEST_F(TransformedSync, ASplitFileThatIsRefusedPublishesNothing) {
  put(*source, "in/a.txt", "1\n2\n3\n4\nbad\n", 1'000 * second);
  use({"split lines=1", "lines must_not_match=bad", "checksum"});
  EXPECT_EQ(sync()->files_failed, 1U);
  EXPECT_TRUE(files(*target, "out").empty());
  EXPECT_TRUE(target->temporaries().empty());
}

TEST_F(TransformedSync, ASideFileIsNotPublishedWithoutItsFile) {
  put(*source, "in/a", "a", 1'000 * second);
  put(*target, "out/a", "other", 2'000 * second);
  use({"checksum"});
  job.on_conflict = OnConflict::skip;
  EXPECT_EQ(sync()->files_copied, 0U);
  EXPECT_EQ(files(*target, "out"), (std::map<std::string, std::string>{{"a", "other"}}));
}

TEST_F(TransformedSync, ManyFilesOfAnOrderThatRenamingChanges) {
  for (int i = 0; i < 300; ++i)
    put(*source, fmt::format("in/{}{}.gz", i % 3 == 0 ? "a" : "a.b", i),
        run_chain(chain_of({"gzip"}).value(), fmt::format("{}", i)).value().bytes, 1'000 * second);
  put(*source, "in/a.gz", run_chain(chain_of({"gzip"}).value(), "x").value().bytes, 1'000 * second);
  put(*source, "in/a.b.gz", run_chain(chain_of({"gzip"}).value(), "y").value().bytes, 1'000 * second);
  use({"gunzip"});
  EXPECT_EQ(sync()->files_copied, 302U);
  EXPECT_EQ(sync()->files_copied, 0U);
  EXPECT_EQ(*target->find("out/a.b")->content, "y");
}

TEST_F(TransformedSync, ReadsBackWhatWasPublished) {
  put(*source, "in/a.txt", "alpha", 1'000 * second);
  job.verify = VerifyMode::readback;
  use({"gzip"});
  EXPECT_EQ(sync()->files_copied, 1U);
}

TEST_F(TransformedSync, TheJobKeepsItsTransformsInThePlan) {
  use({"redact pattern='\\d' with='\"'", "gzip level=9"});
  const auto kept = job_from_json(job_to_json(job));
  ASSERT_OK(kept);
  EXPECT_EQ(kept->transforms, job.transforms);
}

TEST_F(TransformedSync, AFileThatChangesWhileItIsReadIsReadAgain) {
  put(*source, "in/moving", std::string(2 << 20, 'a'), 1'000 * second);
  source->change_at_read("in/moving", 3, std::string(2 << 20, 'b'), 1'001 * second);
  use({"gzip"});
  ASSERT_OK(sync());
  EXPECT_TRUE(unzipped("out/moving.gz") == std::string(2 << 20, 'b'));
}

TEST_F(TransformedSync, VerifyComparesWithTheState) {
  put(*source, "in/a.txt", "alpha", 1'000 * second);
  use({"gzip"});
  ASSERT_OK(sync());
  const auto verify = [&] {
    Engine shared = parts();
    Connections both = connections().value();
    return engine.run(verify_connections(shared, job, both));
  };
  EXPECT_EQ(verify()->difference_count, 0U);
  put(*source, "in/a.txt", "ALPHA", 1'001 * second);
  EXPECT_EQ(verify()->difference_count, 1U);
  job.checksum = true;
  EXPECT_FAILS(verify(), ErrorKind::config);
}

} // namespace
} // namespace checkvalve
