// Directories, names, orphans, and what capabilities promise.
#include <fmt/format.h>

#include <algorithm>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

BACKEND_TEST(MakesDirectoriesWithTheirParents) {
  for (int i = 0; i < 2; ++i) {
    CO_ASSERT_OK(co_await t.target().make_directory("a/b/c", std::nullopt));
    CO_ASSERT_OK(co_await t.target().make_directory("a/b/c", 0755));
    CO_ASSERT_OK(co_await t.target().make_directory("a", std::nullopt));
    CO_ASSERT_OK(co_await t.target().make_directory("", std::nullopt));
  }
  CO_ASSERT_OK(co_await put(t.target(), "a/b/c/file", "x", t.temporary(1)));
  CO_ASSERT_VALUE(const Entry directory, co_await t.source().stat("a/b/c", false));
  EXPECT_EQ(directory.type, EntryType::directory);
}

BACKEND_TEST(MakesNoDirectoryOverAFile) {
  if (!t.capabilities().directories) CO_SKIP("has no directories");
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "x"));
  EXPECT_FAILS_ONE_OF(co_await t.target().make_directory("file", std::nullopt),
                      {ErrorKind::not_a_directory, ErrorKind::exists});
  EXPECT_FAILS_ONE_OF(co_await t.target().make_directory("file/below", std::nullopt),
                      {ErrorKind::not_a_directory, ErrorKind::exists, ErrorKind::not_found});
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("file"));
  EXPECT_EQ(content, "x");
}

Task<void> make_one(Target& target, std::string path) {
  EXPECT_OK(co_await target.make_directory(std::move(path), 0755));
}

BACKEND_TEST(MakesDirectoriesConcurrently) {
  if (!t.capabilities().directories) CO_SKIP("has no directories");
  TaskGroup group;
  for (int i = 0; i < 30; ++i) {
    group.spawn(make_one(t.target(), "x/y/z"));
    group.spawn(make_one(t.target(), fmt::format("x/y/{}", i)));
  }
  co_await group.join();
  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), "x/y"));
  EXPECT_EQ(entries.size(), 31U);
}

BACKEND_TEST(RefusesNamesThatNoTreeHolds) {
  const std::vector<std::string> bad = {"",
                                        "/",
                                        "/absolute",
                                        "a/",
                                        "a//b",
                                        ".",
                                        "..",
                                        "a/../b",
                                        "../up",
                                        "a/..",
                                        "./a",
                                        std::string("nul\0byte", 8),
                                        std::string(256, 'n'),
                                        "a/" + std::string(300, 'n')};
  for (const std::string& path : bad) {
    EXPECT_FAILS(t.target().accepts(path), ErrorKind::invalid_name) << path;
    EXPECT_FAILS(co_await t.target().begin(path, {t.temporary(1), 1}), ErrorKind::invalid_name) << path;
    if (!path.empty())
      EXPECT_FAILS(co_await t.target().make_directory(path, std::nullopt), ErrorKind::invalid_name) << path;
    if (t.capabilities().directories)
      EXPECT_FAILS(co_await t.target().discard(path, t.temporary(1)), ErrorKind::invalid_name) << path;
    if (t.capabilities().symlinks)
      EXPECT_FAILS(co_await t.target().make_link(path, "text", t.temporary(1), Replace::if_absent),
                   ErrorKind::invalid_name)
          << path;
  }
  EXPECT_OK(t.target().accepts("plain/file.txt"));
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty());
}

// Leaves a temporary of these bytes behind, as a killed process does.
Task<Result<void>> leave(Target& target, std::string path, TemporaryName temporary, std::string content) {
  CV_CO_TRY(auto upload, co_await target.begin(std::move(path), {std::move(temporary), std::nullopt}));
  co_return co_await upload->write(0, Chunk::copy_of(content));
}

// Where few bytes wait in memory until they are published, a killed process leaves nothing.
Task<bool> leaves_temporaries(BackendSuite& t) {
  EXPECT_OK(co_await leave(t.target(), "probe", t.temporary(900), "1"));
  const auto names = co_await t.fixture().raw_names("");
  EXPECT_OK(co_await t.target().discard("probe", t.temporary(900)));
  co_return names && !names->empty();
}

BACKEND_TEST(FindsAndRemovesItsLeftovers) {
  if (!co_await leaves_temporaries(t)) CO_SKIP("leaves nothing of a small file behind");
  CO_ASSERT_OK(co_await t.target().make_directory("a/b", std::nullopt));
  CO_ASSERT_OK(co_await leave(t.target(), "top", t.temporary(1), "12345"));
  CO_ASSERT_OK(co_await leave(t.target(), "a/b/deep", t.temporary(2), "123"));
  CO_ASSERT_OK(co_await put(t.target(), "a/file", "x", t.temporary(3)));

  CO_ASSERT_VALUE(auto found, co_await orphans_of(t.target(), "", 100));
  std::sort(found.begin(), found.end(), [](const Orphan& a, const Orphan& b) { return a.name.file < b.name.file; });
  CO_ASSERT_TRUE(found.size() == 2);
  EXPECT_EQ(found[0].name, t.temporary(1));
  EXPECT_EQ(found[1].name, t.temporary(2));
  EXPECT_EQ(found[1].path, t.temporary(2).beside("a/b/deep"));
  EXPECT_EQ(found[0].size_bytes, 5U);
  EXPECT_TRUE(found[0].mtime_ns.has_value());
  CO_ASSERT_VALUE(const auto one, co_await orphans_of(t.target(), "", 1));
  EXPECT_EQ(one.size(), 1U);
  CO_ASSERT_VALUE(const auto below, co_await orphans_of(t.target(), "a", 100));
  EXPECT_EQ(below.size(), 1U);

  for (const Orphan& orphan : found) CO_ASSERT_OK(co_await t.target().remove_orphan(orphan));
  CO_ASSERT_OK(co_await t.target().remove_orphan(found[0])); // gone already
  CO_ASSERT_VALUE(const auto left, co_await orphans_of(t.target(), "", 100));
  EXPECT_TRUE(left.empty());
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("a/file"));
  EXPECT_EQ(content, "x");
}

BACKEND_TEST(LeavesLookAlikesAlone) {
  const std::vector<std::string> users = {".cv-7k3m9q2x5t-1-9f02ab17-42.part.bak",
                                          ".cv-7k3m9q2x5t-1-9f02ab1-42.part",
                                          ".cv-7k3m9q2x5t-1-9f02ab17-4x.part",
                                          ".cv-notes.part",
                                          "cv-7k3m9q2x5t-1-9f02ab17-42.part",
                                          ".cv-7K3M9Q2X5T-1-9f02ab17-42.part",
                                          "file.part"};
  for (const std::string& name : users) CO_ASSERT_OK(co_await t.fixture().plant_file(name, "the user's"));
  CO_ASSERT_VALUE(const auto found, co_await orphans_of(t.target(), "", 100));
  EXPECT_TRUE(found.empty());

  Orphan lie;
  lie.name = t.temporary(1);
  for (const std::string& name : users) {
    lie.path = name;
    EXPECT_FAILS(co_await t.target().remove_orphan(lie), ErrorKind::invalid_name);
  }
  lie.path = "../" + t.temporary(1).text();
  EXPECT_FAILS(co_await t.target().remove_orphan(lie), ErrorKind::invalid_name);
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names.size(), users.size());
}

BACKEND_TEST(DiscardsExactlyOneTemporary) {
  if (!co_await leaves_temporaries(t)) CO_SKIP("leaves nothing of a small file behind");
  CO_ASSERT_OK(co_await leave(t.target(), "file", t.temporary(1), "1"));
  CO_ASSERT_OK(co_await leave(t.target(), "file", t.temporary(1, 2), "2"));
  CO_ASSERT_OK(co_await t.target().discard("file", t.temporary(1)));
  CO_ASSERT_OK(co_await t.target().discard("file", t.temporary(1))); // nothing there is success
  CO_ASSERT_OK(co_await t.target().discard("no/such/directory/file", t.temporary(1)));
  CO_ASSERT_VALUE(const auto left, co_await orphans_of(t.target(), "", 100));
  CO_ASSERT_TRUE(left.size() == 1);
  EXPECT_EQ(left[0].name, t.temporary(1, 2));
}

Task<void> use_missing_root(BackendSuite& t, Target& target) {
  CO_ASSERT_OK(co_await target.connect());
  EXPECT_FAILS(co_await list_all(target, ""), ErrorKind::not_found);
  EXPECT_OK(co_await target.discard("file", t.temporary(1)));
  EXPECT_OK(co_await orphans_of(target, "", 10));
  CO_ASSERT_VALUE(const auto before, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(before.empty()) << "connect and list must not create the root";
  CO_ASSERT_OK(co_await put(target, "file", "first", t.temporary(1)));
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("not/yet/file"));
  EXPECT_EQ(content, "first");
}

BACKEND_TEST(CreatesAMissingRootWithTheFirstFile) {
  CO_ASSERT_VALUE(auto target, t.fixture().make_target_below("not/yet"));
  if (!target || !t.capabilities().directories) CO_SKIP("a root can't be missing here");
  co_await use_missing_root(t, *target);
  co_await target->disconnect();
}

BACKEND_TEST(CreatesAMissingRootWithTheFirstDirectory) {
  CO_ASSERT_VALUE(auto target, t.fixture().make_target_below("not/yet"));
  if (!target || !t.capabilities().directories) CO_SKIP("a root can't be missing here");
  CO_ASSERT_OK(co_await target->connect());
  CO_ASSERT_OK(co_await target->make_directory("a/b", std::nullopt));
  co_await target->disconnect();
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names("not/yet/a"));
  EXPECT_EQ(names, (std::vector<std::string>{"b"}));
}

BACKEND_TEST(CapabilitiesMakeSense) {
  const Capabilities& target = t.target().capabilities();
  const Capabilities& source = t.source().capabilities();
  for (const Capabilities* can : {&target, &source}) {
    EXPECT_GE(can->chunk_bytes, 1U);
    EXPECT_LE(can->chunk_bytes, 8U << 20);
    EXPECT_GE(can->files_in_flight, 1U);
    EXPECT_GE(can->window_bytes, can->chunk_bytes);
    EXPECT_GE(can->mtime_precision_ns, 1);
  }
  EXPECT_EQ(source.directories, target.directories);
  EXPECT_EQ(source.symlinks, target.symlinks);
  EXPECT_EQ(source.mtime_precision_ns, target.mtime_precision_ns);
  co_return;
}

BACKEND_TEST(ReportsOneNameOfADirectoryThroughLinks) {
  if (!t.capabilities().symlinks) CO_SKIP("has no symbolic links");
  CO_ASSERT_OK(co_await t.fixture().plant_directory("real"));
  CO_ASSERT_OK(co_await t.fixture().plant_directory("other"));
  CO_ASSERT_OK(co_await t.fixture().plant_link("real/again", "../real"));
  CO_ASSERT_VALUE(const std::string name, co_await t.source().real_path("real"));
  EXPECT_TRUE(name.starts_with('/')) << name;
  CO_ASSERT_VALUE(const std::string through, co_await t.source().real_path("real/again/again"));
  EXPECT_EQ(through, name);
  CO_ASSERT_VALUE(const std::string other, co_await t.source().real_path("other"));
  EXPECT_NE(other, name);
}

// Where names are all there is, what they have in common up to a '/' is a directory to look at, and none must be made.
BACKEND_TEST(NeedsNoDirectoriesIfItHasNone) {
  if (t.capabilities().directories) CO_SKIP("has directories");
  CO_ASSERT_OK(co_await t.target().make_directory("empty", std::nullopt));
  EXPECT_FAILS(co_await t.source().stat("empty", false), ErrorKind::not_found);
  CO_ASSERT_OK(co_await put(t.target(), "deep/down/file", "x", t.temporary(1)));
  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), "deep"));
  EXPECT_EQ(paths_of(entries), (std::vector<std::string>{"deep/down"}));
  CO_ASSERT_TRUE(entries.size() == 1);
  EXPECT_EQ(entries[0].type, EntryType::directory);
}

BACKEND_TEST(WorksOnAfterDisconnect) {
  CO_ASSERT_OK(co_await put(t.target(), "file", "content", t.temporary(1)));
  co_await t.source().disconnect();
  co_await t.source().disconnect();
  CO_ASSERT_OK(co_await t.source().connect());
  CO_ASSERT_VALUE(const std::string content, co_await get(t.source(), "file"));
  EXPECT_EQ(content, "content");
}

} // namespace
} // namespace checkvalve::conformance
