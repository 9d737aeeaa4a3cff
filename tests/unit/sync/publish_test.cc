// What has to hold before a file gets its name, for every way of copying.
#include "sync/publish.h"

#include <fmt/format.h>

#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::second;
using testing_support::SyncFixture;

// A copy that counts what the fence asks of it.
class FakeCopy : public Copy {
public:
  Task<Result<Content>> move() override { co_return Content(); }
  Task<Result<Published>> publish(CommitOptions options) override {
    ++published;
    asked = std::move(options);
    if (commit_error) co_return Failure(*commit_error);
    co_return Published{.method = "fake"};
  }
  Task<Result<void>> abort() override { co_return Result<void>(); }

  int published = 0;
  CommitOptions asked;
  std::optional<Error> commit_error;
};

class Publish : public SyncFixture {
public:
  Publish() {
    put(*source, "in/small", "alpha", second);
    expected.path = "small";
    expected.size_bytes = 5;
    expected.mtime_ns = second;
    content = {.read_bytes = 5, .bytes = 5, .read_digest = "xxh128:1", .digest = "xxh128:1"};
    content.source_after = expected;
  }

  // With a lease that is valid for so long from now. What passes reaches FakeCopy::publish.
  Result<void> pass(std::chrono::milliseconds lease_left = std::chrono::hours(1)) {
    Engine shared = parts();
    Connections both = connections().value();
    DirectoryMaker directories(*both.target);
    const Chain chain;
    SpaceTurns space;
    TransferScope scope{shared, job, chain, both, directories, space, HashAlgorithm::xxh128};
    LeaseKeeper keeper(shared, Lease{"aaaaaaaaaa", 1, 1, "0123abcd"}, BootClock::now(), lease_left,
                       [] { return std::nullopt; });
    PlannedFile file{.number = 1, .action = action, .path = "small", .size_bytes = 5};
    const std::string target_path = "small";
    Fence fence(scope, keeper, file, target_path);
    auto done = engine.run(fence.publish(copy, content, expected, outcome));
    in_doubt = fence.take_in_doubt().has_value();
    return done;
  }

  // One transfer under a lease that has run out.
  FileOutcome transfer_without_lease(PlannedFile file) {
    Engine shared = parts();
    Connections both = connections().value();
    DirectoryMaker directories(*both.target);
    const Chain chain = Chain::make(job.transforms).value();
    SpaceTurns space;
    TransferScope scope{shared, job, chain, both, directories, space, HashAlgorithm::xxh128};
    const LeaseKeeper keeper(shared, Lease{"aaaaaaaaaa", 1, 1, "0123abcd"}, BootClock::now(),
                             std::chrono::milliseconds(0), [] { return std::nullopt; });
    return engine.run(transfer_file(scope, keeper, std::move(file), 1 << 20));
  }

  FileAction action = FileAction::copy;
  Entry expected;
  Content content;
  FakeCopy copy;
  FileOutcome outcome;
  bool in_doubt = false;
};

TEST_F(Publish, WhatIsUnchangedCompleteAndOursIsCommittedAndReadyToBeRecorded) {
  content.bytes = 3;
  content.digest = "xxh128:2";
  ASSERT_OK(pass());
  EXPECT_EQ(copy.published, 1);
  EXPECT_EQ(copy.asked.size_bytes, 3U);
  EXPECT_EQ(copy.asked.mtime_ns, second);
  EXPECT_EQ(outcome.state, FileState::committed);
  EXPECT_EQ(outcome.bytes, 3U);
  EXPECT_EQ(outcome.digest, "xxh128:1");
  EXPECT_EQ(outcome.target_digest, "xxh128:2");
  EXPECT_EQ(outcome.method, "fake");
  EXPECT_EQ(outcome.size_bytes, 5U);
}

TEST_F(Publish, NothingPassesThatIsNotWhatWasPlanned) {
  struct Row {
    std::string sentence;
    std::function<void(Publish&)> change;
    ErrorKind expected;
  };
  const std::vector<Row> rows = {
      {"the source has another mtime", [](Publish& t) { t.content.source_after->value().mtime_ns = 2 * second; },
       ErrorKind::changed},
      {"the source has another size", [](Publish& t) { t.content.source_after->value().size_bytes = 6; },
       ErrorKind::changed},
      {"the source has another ETag", [](Publish& t) { t.content.source_after->value().etag = "e2"; },
       ErrorKind::changed},
      {"the source is a directory by now",
       [](Publish& t) { t.content.source_after->value().type = EntryType::directory; }, ErrorKind::changed},
      {"the source could not be looked at again",
       [](Publish& t) { t.content.source_after = Failure(make_error(ErrorKind::permission, "stat", "small", "no")); },
       ErrorKind::permission},
      {"fewer bytes were read than planned", [](Publish& t) { t.content.read_bytes = 4; }, ErrorKind::changed},
      {"not all bytes were digested for --verify hash",
       [](Publish& t) {
         t.job.verify = VerifyMode::hash;
         t.content.digest.clear();
       },
       ErrorKind::integrity},
      {"the run was cancelled",
       [](Publish& t) { t.cancellation.request(make_error(ErrorKind::interrupted, "run", "", "SIGTERM")); },
       ErrorKind::interrupted},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.sentence);
    const Content whole = content;
    row.change(*this);
    EXPECT_FAILS(pass(), row.expected);
    EXPECT_EQ(copy.published, 0);
    content = whole;
    job.verify = VerifyMode::size;
  }
}

TEST_F(Publish, ASourceThatRemovesWhatWasReadHasNotChangedIt) {
  content.source_after = Failure(make_error(ErrorKind::not_found, "stat", "small", "gone"));
  EXPECT_OK(pass());
}

TEST_F(Publish, ALeaseThatHasRunOutLetsNothingPass) {
  for (const FileAction each : {FileAction::copy, FileAction::link, FileAction::directory}) {
    action = each;
    EXPECT_FAILS(pass(std::chrono::milliseconds(0)), ErrorKind::lease);
    EXPECT_EQ(copy.published, 0);
  }
}

TEST_F(Publish, TheTargetChecksTheDigestOfWhatWasWritten) {
  job.verify = VerifyMode::hash;
  content.digest = "xxh128:2";
  ASSERT_OK(pass());
  EXPECT_EQ(copy.asked.content_digest, "xxh128:2");
}

TEST_F(Publish, WhatReadsBackOtherwiseIsNotPublished) {
  job.verify = VerifyMode::readback;
  put(*target, "out/small", "alphA", second);
  EXPECT_FAILS(pass(), ErrorKind::integrity);
  EXPECT_EQ(copy.published, 1);
}

TEST_F(Publish, OnlyATransientErrorOfTheCommitLeavesItInDoubt) {
  copy.commit_error = make_error(ErrorKind::connection, "rename", "small", "lost");
  EXPECT_FAILS(pass(), ErrorKind::connection);
  EXPECT_TRUE(in_doubt);
  copy.commit_error = make_error(ErrorKind::permission, "rename", "small", "no");
  EXPECT_FAILS(pass(), ErrorKind::permission);
  EXPECT_FALSE(in_doubt);
}

// The ways of copying: of one chunk, of many, through a chain; links and directories.
TEST_F(Publish, NoWayOfCopyingPublishesWithoutTheLease) {
  put(*source, "in/large", std::string(3 << 20, 'x'), second);
  source->put_link("in/link", "small");
  const PlannedFile small{.number = 1, .path = "small", .size_bytes = 5, .mtime_ns = second};
  const PlannedFile large{.number = 2, .path = "large", .size_bytes = 3 << 20, .mtime_ns = second};
  const PlannedFile link{.number = 3, .action = FileAction::link, .path = "link"};
  const PlannedFile directory{.number = 4, .action = FileAction::directory, .path = "made"};
  for (const PlannedFile& file : {small, large, link, directory})
    EXPECT_EQ(transfer_without_lease(file).state, FileState::planned) << file.path;
  job.transforms = {parse_transform_call("gzip").value()};
  EXPECT_EQ(transfer_without_lease(small).state, FileState::planned) << "gzip";
  EXPECT_TRUE(files(*target, "out").empty());
  EXPECT_FALSE(target->find("out/link"));
  EXPECT_FALSE(target->find("out/made"));
  EXPECT_TRUE(target->temporaries().empty());
}

TEST_F(Publish, AFileOfOneChunkThatChangesWhileItIsReadIsNotPublished) {
  job.retries = 0;
  source->change_at_read("in/small", 1, "ALPHA", 2 * second);
  const auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 0U);
  ASSERT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::changed);
  EXPECT_TRUE(files(*target, "out").empty());
  EXPECT_EQ(sync()->files_copied, 1U);
  expect_same_trees();
}

} // namespace
} // namespace checkvalve
