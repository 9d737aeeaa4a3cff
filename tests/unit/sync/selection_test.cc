#include "sync/selection.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

TEST(Glob, StarStaysInsideAName) {
  EXPECT_TRUE(glob_matches("*.txt", "a.txt"));
  EXPECT_TRUE(glob_matches("*.txt", "deep/er/a.txt")); // without '/', the last name at any depth
  EXPECT_FALSE(glob_matches("/*.txt", "deep/a.txt"));
  EXPECT_TRUE(glob_matches("/*.txt", "a.txt"));
  EXPECT_FALSE(glob_matches("a/*.txt", "a/b/c.txt"));
  EXPECT_TRUE(glob_matches("a/*.txt", "a/c.txt"));
  EXPECT_FALSE(glob_matches("*.txt", "a.txt.gz"));
}

TEST(Glob, DoubleStarIsAnyDepthIncludingNone) {
  EXPECT_TRUE(glob_matches("a/**/c", "a/c"));
  EXPECT_TRUE(glob_matches("a/**/c", "a/b/c"));
  EXPECT_TRUE(glob_matches("a/**/c", "a/b/b/c"));
  EXPECT_FALSE(glob_matches("a/**/c", "a/bc"));
  EXPECT_TRUE(glob_matches("**/c", "c"));
  EXPECT_TRUE(glob_matches("a/**", "a/b/c"));
  EXPECT_FALSE(glob_matches("a/**", "a"));
  EXPECT_FALSE(glob_matches("a/**", "ab"));
}

TEST(Glob, ClassesQuestionMarksBracesAndEscapes) {
  EXPECT_TRUE(glob_matches("f?o", "foo"));
  EXPECT_FALSE(glob_matches("f?o", "f/o"));
  EXPECT_TRUE(glob_matches("[a-c]x", "bx"));
  EXPECT_FALSE(glob_matches("[!a-c]x", "bx"));
  EXPECT_TRUE(glob_matches("[]]", "]"));
  EXPECT_TRUE(glob_matches("*.{txt,csv}", "a.csv"));
  EXPECT_TRUE(glob_matches("{a,b{c,d}}/*", "bd/x"));
  EXPECT_FALSE(glob_matches("*.{txt,csv}", "a.json"));
  EXPECT_TRUE(glob_matches("\\*.txt", "*.txt"));
  EXPECT_FALSE(glob_matches("\\*.txt", "a.txt"));
  EXPECT_TRUE(glob_matches("\xff*", "\xff\xfe"));
}

TEST(Glob, ManyStarsDoNotTakeForEver) {
  const std::string path(200, 'a');
  EXPECT_FALSE(glob_matches("*a*a*a*a*a*a*a*a*b", path));
  EXPECT_TRUE(glob_matches("*a*a*a*a*a*a*a*a", path));
}

TEST(Glob, SaysWhatIsWrong) {
  EXPECT_TRUE(check_glob("a[bc]{d,e}"));
  for (const char* bad : {"", "a[b", "a{b", "a\\"}) {
    const auto checked = check_glob(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().kind, ErrorKind::config);
  }
}

TEST(Selection, FirstMatchWins) {
  Selection selection;
  EXPECT_TRUE(selection.takes_name("any"));
  selection.rules = {{false, "secret*"}, {true, "*.txt"}};
  EXPECT_TRUE(selection.takes_name("a.txt"));
  EXPECT_FALSE(selection.takes_name("secret.txt"));
  EXPECT_FALSE(selection.takes_name("a.csv")); // an include rule exists and none matched
  selection.rules = {{false, "*.tmp"}};
  EXPECT_TRUE(selection.takes_name("a.csv"));
}

TEST(Selection, SizesAndAges) {
  Selection selection;
  selection.min_size_bytes = 10;
  selection.max_size_bytes = 20;
  selection.min_age = std::chrono::minutes(1);
  const std::int64_t now = 1'000'000'000'000;
  Entry entry{"a", EntryType::file, 15, (now - 61'000) * 1'000'000, {}, ""};
  EXPECT_TRUE(selection.takes(entry, now));
  entry.mtime_ns = (now - 59'000) * 1'000'000;
  EXPECT_FALSE(selection.takes(entry, now));
  entry.mtime_ns.reset();
  EXPECT_TRUE(selection.takes(entry, now));
  entry.size_bytes = 9;
  EXPECT_FALSE(selection.takes(entry, now));
  entry.size_bytes = 21;
  EXPECT_FALSE(selection.takes(entry, now));
}

TEST(Selection, EntersDirectoriesThatMayHoldFiles) {
  Selection selection;
  selection.rules = {{false, "old/**"}, {false, ".git"}, {true, "*.txt"}, {false, "new/**"}};
  EXPECT_FALSE(selection.enters("old"));
  EXPECT_FALSE(selection.enters("a/.git"));
  EXPECT_TRUE(selection.enters("new")); // an include before it may take files below
  EXPECT_TRUE(selection.enters("other"));
}

TEST(Selection, EntersADirectoryBelowWithTheNameOfAnExcludedOne) {
  for (const char* glob : {"tmp/**", "/tmp/**", "{tmp,old}/**"}) {
    Selection selection;
    selection.rules = {{false, glob}};
    EXPECT_FALSE(selection.enters("tmp")) << glob;
    EXPECT_TRUE(selection.takes_name("a/tmp/file")) << glob;
    EXPECT_TRUE(selection.enters("a/tmp")) << glob;
  }
  Selection anywhere;
  anywhere.rules = {{false, "**/tmp/**"}};
  EXPECT_FALSE(anywhere.enters("a/tmp"));
}

} // namespace
} // namespace checkvalve
