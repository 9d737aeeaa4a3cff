// The target's list of checksums: what it says, when it is written, and several workers that end at the same time.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "backends/temporary.h"
#include "core/units.h"
#include "decorators/wrapper.h"
#include "sync/holder.h"
#include "sync/list_file.h"
#include "transforms/checksum_line.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::second;
using testing_support::SyncFixture;

constexpr const char* sums = "SHA256SUMS";

std::string sha256(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Task<void> wait_for(OneShotEvent& event) { co_await event; }

Task<void> nothing() { co_return; }

Task<void> run_into(Result<Summary>& done, Engine& engine, const Job& job, std::string plan, Connections& connections,
                    RunOptions options) {
  done = co_await run_plan(engine, job, plan, connections, std::move(options));
}

// A worker for each of the plan's batches, all at once; how many files they copied, or the first failure.
Task<Result<std::uint64_t>> run_at_once(Engine& engine, const Job& job, std::string plan,
                                        std::vector<Connections>& connections) {
  std::vector<JoinHandle<Result<Summary>>> runs;
  for (std::size_t i = 0; i < connections.size(); ++i)
    runs.push_back(
        spawn(run_plan(engine, job, plan, connections[i], {.batches = {static_cast<std::uint32_t>(i + 1)}})));
  std::uint64_t copied = 0;
  std::optional<Error> failed;
  for (auto& run : runs) {
    const auto done = co_await run.get();
    if (!done)
      failed = done.error();
    else if (!done->failures.empty())
      failed = done->failures[0].error;
    else
      copied += done->files_copied;
  }
  if (failed) co_return Failure(*failed);
  co_return copied;
}

// Runs something of the test's when the list is about to be written: after its lines were read.
class HookedTarget : public TargetWrapper {
public:
  HookedTarget(std::shared_ptr<Target> inner, std::function<Task<void>()> hook)
      : TargetWrapper(std::move(inner)), hook_(std::move(hook)) {}
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    if (path == sums) co_await hook_();
    co_return co_await inner_->begin(std::move(path), std::move(hints));
  }

private:
  std::function<Task<void>()> hook_;
};

class ListOfChecksums : public SyncFixture {
public:
  ListOfChecksums() { use({"checksum list=SHA256SUMS"}); }

  void use(std::vector<std::string> calls) {
    job.transforms.clear();
    for (const std::string& call : calls) job.transforms.push_back(parse_transform_call(call).value());
  }
  std::string list(const std::string& path = "out/SHA256SUMS") const {
    const auto* node = target->find(path);
    return node ? *node->content : "missing";
  }
  // What the list should be: all files at the target but itself.
  std::string wanted() const {
    std::string lines;
    for (const auto& [path, content] : files(*target, "out"))
      if (path != sums) lines += checksum_line(sha256(content), path);
    return lines;
  }
  Result<VerifyReport> verify() {
    Engine shared = parts();
    Connections both = connections().value();
    return engine.run(verify_connections(shared, job, both));
  }
};

TEST_F(ListOfChecksums, HoldsEachFileAndIsWrittenOnlyWhenItChanges) {
  fill();
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 5U);
  EXPECT_EQ(files(*target, "out").size(), 6U);
  EXPECT_EQ(list(), wanted());
  EXPECT_TRUE(target->temporaries().empty());

  const auto version = target->find("out/SHA256SUMS")->version;
  const auto written = target->bytes_written;
  EXPECT_EQ(sync()->files_copied, 0U);
  EXPECT_EQ(target->bytes_written, written);
  EXPECT_EQ(target->find("out/SHA256SUMS")->version, version);

  put(*source, "in/new", "new", 6'000 * second);
  source->remove("in/a.txt");
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_EQ(list(), wanted()) << "with a.txt, which stays at the target";
  put(*source, "in/new", "NEW", 6'001 * second);
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_EQ(list(), wanted());
}

TEST_F(ListOfChecksums, IsMadeAgainWhereItIsGoneOrOfAnotherSize) {
  fill();
  ASSERT_OK(sync());
  target->remove("out/SHA256SUMS");
  EXPECT_EQ(verify()->difference_count, 1U);
  EXPECT_EQ(verify()->differences[0].path, sums);
  ASSERT_OK(sync());
  EXPECT_EQ(list(), wanted());
  put(*target, "out/SHA256SUMS", "meddled");
  ASSERT_OK(sync());
  EXPECT_EQ(list(), wanted());
  EXPECT_EQ(verify()->difference_count, 0U);
  EXPECT_EQ(verify()->files_extra, 0U);
}

TEST_F(ListOfChecksums, IsOfThePublishedNamesAndBytes) {
  fill();
  use({"gzip", "checksum list=SHA256SUMS"});
  ASSERT_OK(sync());
  EXPECT_EQ(list(), wanted());
  EXPECT_NE(list().find("  deep/er/b.txt.gz\n"), std::string::npos);
  // Other transforms write all files again; one that was deleted at the source stays listed.
  source->remove("in/a.txt");
  use({"zstd", "checksum list=SHA256SUMS"});
  ASSERT_OK(sync());
  EXPECT_NE(list().find("  deep/er/b.txt.zst\n"), std::string::npos);
  EXPECT_NE(list().find("  a.txt.gz\n"), std::string::npos);
  // Another algorithm has other lines.
  use({"checksum list=SHA256SUMS algorithm=md5"});
  ASSERT_OK(sync());
  const std::string text = list();
  EXPECT_EQ(std::ranges::count(text, '\n'), 4);
  EXPECT_EQ(text.find("  "), 32U) << text;
}

TEST_F(ListOfChecksums, OfTwoFilesThatHadOneNameTheLaterCounts) {
  put(*source, "in/z.txt", "first", 1'000 * second);
  use({"checksum list=SHA256SUMS rename=one.txt"});
  ASSERT_OK(sync());
  source->remove("in/z.txt");
  for (const std::int64_t then = now_ms(); now_ms() == then;) continue; // all of this takes less than a tick
  put(*source, "in/a.txt", "second", 2'000 * second);
  ASSERT_OK(sync());
  EXPECT_EQ(list(), checksum_line(sha256("second"), "one.txt"));
}

TEST_F(ListOfChecksums, TakesInWhatOtherSourcesSendToTheSameTarget) {
  fill();
  ASSERT_OK(sync());
  put(*source, "second/c.txt", "c", 1'000 * second);
  job.source = parse_endpoint_url("memory://source/second").value();
  job.source.options["mtime_precision_ns"] = "1000000000";
  ASSERT_OK(sync());
  EXPECT_EQ(list(), wanted());
  job.target = parse_endpoint_url("memory://target/other").value(); // that one has a list of its own
  target->put_directory("other");
  ASSERT_OK(sync());
  EXPECT_EQ(list("other/SHA256SUMS"), checksum_line(sha256("c"), "c.txt"));
}

TEST_F(ListOfChecksums, AFileThatFailsIsNotListedAndKeepsNoOtherFromIt) {
  fill();
  source->deny("in/a.txt");
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(list(), wanted());
  EXPECT_EQ(list().find("a.txt"), std::string::npos);
}

TEST_F(ListOfChecksums, NoFileTakesItsName) {
  put(*source, "in/SHA256SUMS", "mine", 1'000 * second);
  put(*source, "in/d/SHA256SUMS", "of a directory", 1'000 * second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures[0].path, sums);
  EXPECT_EQ(done->failures[0].error.kind, ErrorKind::exists);
  EXPECT_EQ(list(), checksum_line(sha256("of a directory"), "d/SHA256SUMS"));

  source->remove("in/SHA256SUMS");
  put(*source, "in/SHA256SUMS/below", "mine", 1'000 * second);
  done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->failures[0].path, "SHA256SUMS/below");
  EXPECT_EQ(list(), wanted());
}

TEST_F(ListOfChecksums, ThatCantBeWrittenIsAFailureOfTheRun) {
  put(*source, "in/d/a", "a", 1'000 * second);
  put(*target, "out/d/x", "x", 1'000 * second);
  target->deny("out");
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 1U);
  EXPECT_EQ(done->files_failed, 1U);
  ASSERT_EQ(done->failures.size(), 1U);
  EXPECT_EQ(done->failures[0].path, sums);
  EXPECT_EQ(done->failures[0].error.kind, ErrorKind::permission);
  EXPECT_EQ(list(), "missing");
  const auto stored = awaited(store->plans.failures(done->plan, 0, 10)); // what `status` shows
  ASSERT_OK(stored);
  ASSERT_EQ(stored->size(), 1U);
  EXPECT_EQ(stored->at(0).path, sums);
}

TEST_F(ListOfChecksums, NothingIsWrittenWhereNothingWasPublished) {
  put(*target, "out/SHA256SUMS", "somebody's");
  ASSERT_OK(sync());
  EXPECT_EQ(list(), "somebody's");
  EXPECT_EQ(verify()->difference_count, 0U);
}

TEST_F(ListOfChecksums, ReplacesNoOtherFileWithConflictFail) {
  put(*source, "in/a", "a", 1'000 * second);
  put(*target, "out/SHA256SUMS", "somebody's");
  job.on_conflict = OnConflict::fail;
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures[0].error.kind, ErrorKind::exists);
  EXPECT_EQ(list(), "somebody's");
  target->remove("out/SHA256SUMS");
  EXPECT_EQ(sync()->files_failed, 0U);
  put(*source, "in/b", "b", 1'000 * second);
  EXPECT_EQ(sync()->files_failed, 0U);
  EXPECT_EQ(list(), checksum_line(sha256("a"), "a") + checksum_line(sha256("b"), "b"));
}

TEST_F(ListOfChecksums, ATargetWithoutAtomicReplaceNeedsConsent) {
  job.target.options["atomic_replace"] = "no";
  put(*source, "in/a", "a", 1'000 * second);
  EXPECT_EQ(sync()->files_failed, 0U);
  put(*source, "in/b", "b", 1'000 * second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures[0].error.kind, ErrorKind::unsupported);
  EXPECT_EQ(list(), checksum_line(sha256("a"), "a"));
  EXPECT_TRUE(target->temporaries().empty());
  job.on_conflict = OnConflict::overwrite_non_atomic;
  EXPECT_EQ(sync()->files_failed, 0U);
  EXPECT_EQ(list(), wanted());
}

TEST_F(ListOfChecksums, IsReadBackLikeAnyFile) {
  put(*source, "in/a", "a", 1'000 * second);
  job.verify = VerifyMode::readback;
  EXPECT_EQ(sync()->files_failed, 0U);
  source->remove("in/a");
  target->remove("out/SHA256SUMS");
  target->corrupts_uploads = true;
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures[0].error.kind, ErrorKind::integrity);
  target->corrupts_uploads = false;
  EXPECT_EQ(sync()->files_failed, 0U); // the size alone would not have shown it
  EXPECT_EQ(list(), wanted());
}

TEST_F(ListOfChecksums, AWriterThatWasKilledIsMadeGoodByTheNextRun) {
  put(*source, "in/a", "a", 1'000 * second);
  ASSERT_OK(sync());
  const TemporaryName dead{random_plan_id(), 1, random_nonce(), 0};
  const ListKey key{identities(job).value().target, sums};
  ASSERT_TRUE(awaited(store->lists.take(key, "elsewhere:1", dead.text(), "", std::chrono::milliseconds(0)))->taken);
  put(*target, "out/" + dead.text(), "half");
  put(*target, "out/SHA256SUMS", std::string(list().size(), 'x')); // published, but not recorded
  ASSERT_OK(sync());
  EXPECT_EQ(list(), wanted());
  EXPECT_TRUE(target->temporaries().empty());
}

Task<Result<Summary>> outcome_of(JoinHandle<Result<Summary>> run) { co_return co_await run.get(); }

// The first worker has read the records when the second one records its files: it must not have the last word.
TEST_F(ListOfChecksums, AWorkerThatEndsWhileAnotherWritesIsInIt) {
  put(*source, "in/a", "a", 1'000 * second);
  put(*source, "in/b", "b", 1'000 * second);
  job.batching.max_files = 1;
  const auto planned = plan();
  ASSERT_OK(planned);
  ASSERT_EQ(planned->batches, 2U);
  Engine shared = parts();
  Connections first = connections().value();
  Connections second_ends = connections().value();
  OneShotEvent recorded;
  engine.events.on_event = [&](const EngineEvent& event) {
    if (const auto* batch = std::get_if<BatchEvent>(&event)) {
      if (batch->batch == 2 && batch->state == "finished") recorded.set();
    }
  };
  std::optional<JoinHandle<Result<Summary>>> other;
  const auto hook = [&] {
    other.emplace(spawn(run_plan(shared, job, planned->plan, second_ends, {.batches = {2}})));
    return wait_for(recorded);
  };
  first.target = std::make_unique<HookedTarget>(std::shared_ptr(std::move(first.target)), hook);
  const auto one = engine.run(run_plan(shared, job, planned->plan, first, {.batches = {1}}));
  ASSERT_OK(one);
  ASSERT_TRUE(other);
  const auto two = engine.run(outcome_of(std::move(*other)));
  ASSERT_OK(two);
  EXPECT_EQ(one->files_copied + two->files_copied, 2U);
  EXPECT_EQ(one->files_failed + two->files_failed, 0U);
  EXPECT_EQ(list(), checksum_line(sha256("a"), "a") + checksum_line(sha256("b"), "b"));
  EXPECT_TRUE(target->temporaries().empty());
}

TEST_F(ListOfChecksums, WaitsForWhoHasIt) {
  put(*source, "in/a", "a", 1'000 * second);
  const ListKey key{identities(job).value().target, sums};
  ASSERT_TRUE(awaited(store->lists.take(key, "elsewhere:1", "temporary", "", std::chrono::milliseconds(700)))
                  ->taken); // and never gives it back
  EXPECT_EQ(sync()->files_failed, 0U);
  EXPECT_EQ(list(), wanted());
}

// Its time ran out while it was suspended, say; then it publishes an older list over that of who took it over.
TEST_F(ListOfChecksums, AWriterThatLostTheListWithoutNoticingWritesItAgain) {
  for (const auto& [content, mtime] : {std::pair("old", 1'000), std::pair("new", 2'000)}) {
    put(*source, "in/a", content, mtime * second);
    put(*source, "in/b", content, mtime * second);
    if (mtime == 1'000) ASSERT_OK(sync()); // the list's size will be the same
  }
  job.batching.max_files = 1;
  const auto planned = plan();
  ASSERT_OK(planned);
  Engine shared = parts();
  Connections first = connections().value();
  Connections other_ends = connections().value();
  Result<Summary> other;
  int times = 0;
  const auto hook = [&] {
    if (++times > 1) return nothing();
    EXPECT_TRUE(awaited(store->lists.take({job.target.display(), sums}, "elsewhere:1", "temporary", this_holder(),
                                          std::chrono::milliseconds(0)))
                    ->taken);
    return run_into(other, shared, job, planned->plan, other_ends, {.batches = {2}});
  };
  first.target = std::make_unique<HookedTarget>(std::shared_ptr(std::move(first.target)), hook);
  const auto one = engine.run(run_plan(shared, job, planned->plan, first, {.batches = {1}}));
  ASSERT_OK(one);
  EXPECT_EQ(one->files_failed, 0U);
  ASSERT_OK(other);
  EXPECT_EQ(list(), checksum_line(sha256("new"), "a") + checksum_line(sha256("new"), "b"));
  EXPECT_EQ(times, 2);
  EXPECT_TRUE(target->temporaries().empty());
}

TEST_F(ListOfChecksums, ManyWorkersThatEndTogetherLeaveOneWholeList) {
  job.batching.max_files = 2;
  for (int round = 1; round <= 6; ++round) {
    for (int i = 0; i < 16; ++i) put(*source, fmt::format("in/{}", i), fmt::format("{} {}", round, i), round * second);
    const auto planned = plan();
    ASSERT_OK(planned);
    ASSERT_EQ(planned->batches, 8U);
    Engine shared = parts();
    std::vector<Connections> each;
    for (std::uint32_t batch = 1; batch <= 8; ++batch) each.push_back(connections().value());
    const auto copied = engine.run(run_at_once(shared, job, planned->plan, each));
    ASSERT_OK(copied);
    EXPECT_EQ(*copied, 16U);
    EXPECT_EQ(list(), wanted()) << "round " << round;
    EXPECT_TRUE(target->temporaries().empty());
  }
}

} // namespace
} // namespace checkvalve
