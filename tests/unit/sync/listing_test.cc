// Planning: what is listed on both sides, in which way, and what the plan makes of it.
#include "doubles/faults.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::second;
using testing_support::SyncFixture;

class Listing : public SyncFixture {
public:
  // A dry run for which the target refuses two calls, beginning with the `first`.
  Result<Summary> plan_with_refusals(Operation operation, std::uint32_t first) {
    const auto faults = std::make_shared<FaultPlan>();
    faults->fail(operation, first, make_error(ErrorKind::permission, "ask for", "x", "permission denied"), 2);
    Engine shared = parts();
    CV_TRY(Connections both, connections());
    both.target = with_faults(std::shared_ptr<Target>(std::move(both.target)), faults);
    return engine.run(make_plan(shared, job, both, true));
  }
};

TEST_F(Listing, ListsOfFiles) {
  fill();
  job.selection.files = std::vector<std::string>{"a.txt", "deep/er/b.txt", "missing", "deep",
                                                 TemporaryName{"aaaaaaaaaa", 1, "0123abcd", 1}.text()};
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 2U);
  EXPECT_EQ(done->files_failed, 3U);
  EXPECT_EQ(*target->find("out/deep/er/b.txt")->content, "beta");
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Listing, ATargetThatCanNotBeListedIsAWarningOnce) {
  for (const char* directory : {"deep", "er"}) {
    put(*source, fmt::format("in/{}/a", directory), "a", second);
    target->put_directory(fmt::format("out/{}", directory));
  }
  ASSERT_OK(plan_with_refusals(Operation::list, 2));
  const auto warnings = engine.events.of<WarningEvent>();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].message.find("permission denied"), std::string::npos) << warnings[0].message;
  EXPECT_NE(warnings[0].message.find("2 directories of the target"), std::string::npos) << warnings[0].message;
}

TEST_F(Listing, ANameThatIsListedTwiceIsOneFile) {
  fill();
  job.selection.files = std::vector<std::string>{"a.txt", "empty", "a.txt"};
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 2U);
  EXPECT_EQ(done->files_skipped, 0U);
  EXPECT_EQ(done->files_failed, 0U);
}

TEST_F(Listing, LinksBySkipCopyAndFollow) {
  put(*source, "in/real/file", "content", second);
  source->put_link("in/link", "real/file");
  source->put_link("in/loop", "../in");
  source->put_link("in/real/up", "..");
  source->put_link("in/nowhere", "missing");
  EXPECT_EQ(sync()->files_copied, 1U);
  EXPECT_FALSE(target->find("out/link"));

  job.links = LinkPolicy::follow;
  auto followed = sync();
  ASSERT_OK(followed);
  EXPECT_EQ(*target->find("out/link")->content, "content");
  EXPECT_EQ(target->find("out/link")->type, EntryType::file);
  EXPECT_EQ(followed->files_failed, 3U); // two loops and one that leads nowhere, each named

  target->remove("out/link");
  job.links = LinkPolicy::copy;
  auto copied = sync();
  ASSERT_OK(copied);
  EXPECT_EQ(copied->files_failed, 0U);
  EXPECT_EQ(target->find("out/link")->type, EntryType::symlink);
  EXPECT_EQ(*target->find("out/link")->content, "real/file");
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Listing, EmptyDirectoriesOnWish) {
  source->put_directory("in/hollow");
  EXPECT_EQ(sync()->files_copied, 0U);
  EXPECT_FALSE(target->find("out/hollow"));
  job.empty_directories = true;
  EXPECT_EQ(sync()->files_copied, 1U);
  ASSERT_TRUE(target->find("out/hollow"));
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Listing, NamesThatTheTargetCannotHoldFailWhilePlanning) {
  job.source.options["recursive_list"] = "yes";
  job.source.options["directories"] = "no";
  fill();
  put(*source, "in/a//b", "two slashes", second);
  auto done = sync();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 5U);
  ASSERT_EQ(done->files_failed, 1U);
  EXPECT_EQ(done->failures.at(0).path, "a//b");
  EXPECT_EQ(done->failures.at(0).error.kind, ErrorKind::invalid_name);
  EXPECT_EQ(sync()->files_copied, 0U);
}

TEST_F(Listing, BothSidesMayListInOneStream) {
  fill();
  std::int64_t mtime = 0;
  for (const char* side : {"source", "target", "both"}) {
    for (Endpoint* end : {&job.source, &job.target}) end->options.erase("recursive_list");
    if (side != std::string_view("target")) job.source.options["recursive_list"] = "yes";
    if (side != std::string_view("source")) job.target.options["recursive_list"] = "yes";
    put(*source, "in/a.txt", side, mtime += second);
    EXPECT_EQ(sync()->files_copied, side == std::string_view("source") ? 5U : 1U) << side;
    expect_same_trees();
    EXPECT_EQ(sync()->files_copied, 0U) << side;
  }
}

TEST_F(Listing, AnExcludedDirectoryIsSkippedHoweverTheSourceLists) {
  for (const char* path : {"in/tmp/a.txt", "in/x/tmp/deep/b.txt", "in/x/c.txt"}) put(*source, path, "x", second);
  source->put_directory("in/tmp/hollow");
  job.selection.rules = {{false, Glob::parse("tmp").value()}, {true, Glob::parse("*.txt").value()}};
  job.empty_directories = true;
  for (const char* in_one_stream : {"no", "yes"}) {
    job.source.options["recursive_list"] = in_one_stream;
    ASSERT_OK(sync());
    EXPECT_EQ(files(*target, "out").size(), 1U) << in_one_stream;
    EXPECT_FALSE(target->find("out/tmp/hollow")) << in_one_stream;
  }
}

TEST_F(Listing, NamedFilesThatTheTargetDoesNotShowAreAWarning) {
  fill();
  job.selection.files = std::vector<std::string>{"a.txt", "deep/er/b.txt", "empty"};
  ASSERT_OK(plan_with_refusals(Operation::stat, 1));
  const auto warnings = engine.events.of<WarningEvent>();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_TRUE(warnings[0].message.contains("2 files of the target could not be looked up")) << warnings[0].message;
}

TEST_F(Listing, AListingThatBreaksOffIsBegunAgain) {
  fill();
  source->put_link("in/link", "a.txt");
  put(*target, "out/a.txt", "alpha", 1'000 * second);
  put(*target, "out/deep/x", "x", second);
  for (const bool at_source : {true, false}) {
    const auto faults = std::make_shared<FaultPlan>();
    faults->drop_connection(Operation::next, 2); // pages are of one directory, and the second one ends it
    faults->drop_connection(Operation::next, 4);
    Engine shared = parts();
    auto both = connections();
    ASSERT_OK(both);
    if (at_source)
      both->source = with_faults(std::shared_ptr<Source>(std::move(both->source)), faults);
    else
      both->target = with_faults(std::shared_ptr<Target>(std::move(both->target)), faults);
    auto planned = engine.run(make_plan(shared, job, *both, true));
    ASSERT_OK(planned);
    EXPECT_GT(faults->calls(Operation::next), 4U);
    EXPECT_EQ(planned->files_planned, 4U);
    EXPECT_EQ(planned->files_skipped, 1U);
    EXPECT_TRUE(std::ranges::any_of(engine.events.of<WarningEvent>(),
                                    [](const WarningEvent& each) { return each.message.contains("1 symbolic"); }));
  }
  const auto faults = std::make_shared<FaultPlan>();
  faults->fail(Operation::next, 1, make_error(ErrorKind::connection, "list", "", "lost"), 100);
  Engine shared = parts();
  auto both = connections();
  ASSERT_OK(both);
  both->source = with_faults(std::shared_ptr<Source>(std::move(both->source)), faults);
  EXPECT_FAILS(engine.run(make_plan(shared, job, *both, true)), ErrorKind::connection);
  EXPECT_EQ(faults->calls(Operation::next), 1 + job.retries);
}

} // namespace
} // namespace checkvalve
