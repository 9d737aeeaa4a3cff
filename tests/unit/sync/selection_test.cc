#include "sync/selection.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

Glob glob(std::string_view text) { return Glob::parse(text).value(); }

Selection selection_of(std::initializer_list<std::pair<bool, std::string_view>> rules) {
  Selection selection;
  for (const auto& [include, text] : rules) selection.rules.push_back({include, glob(text)});
  return selection;
}

TEST(Glob, Matches) {
  struct Case {
    std::string_view glob;
    std::string_view path;
    bool expected;
  };
  const Case cases[] = {
      // Without '/', a name at any depth; with one, the whole path.
      {"*.txt", "a.txt", true},
      {"*.txt", "deep/er/a.txt", true},
      {"/*.txt", "a.txt", true},
      {"/*.txt", "deep/a.txt", false},
      {"a/*.txt", "a/c.txt", true},
      {"a/*.txt", "a/b/c.txt", false},
      {"a/*.txt", "x/a/c.txt", false},
      {"*.txt", "a.txt.gz", false},
      // "**" as a component, and elsewhere.
      {"a/**/c", "a/c", true},
      {"a/**/c", "a/b/b/c", true},
      {"a/**/c", "a/bc", false},
      {"**/c", "c", true},
      {"**/a/c", "x/a/c", true},
      {"a/**", "a/b/c", true},
      {"a/**", "a", false},
      {"a/**", "ab", false},
      {"**", "a/b", true},
      {"a**/b", "ab", false},
      {"a**/b", "a1/x/b", false},
      {"a**/b", "a1/b", true},
      {"/**", "a/b", true},
      // A final '/': what is below the directory.
      {"tmp/", "tmp/a", true},
      {"tmp/", "x/tmp/y/a", true},
      {"tmp/", "tmp", false},
      {"/tmp/", "tmp/a", true},
      {"/tmp/", "x/tmp/a", false},
      {"a/tmp/", "a/tmp/b", true},
      {"a/tmp/", "x/a/tmp/b", false},
      // '?' takes a character, or a byte that begins none.
      {"f?o", "foo", true},
      {"f?o", "f/o", false},
      {"f?o", "f\xc3\xa9o", true},
      {"f?o", "f\xe9o", true},
      {"f?o", "f\no", true},
      // Classes.
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[^a-c]x", "dx", true},
      {"[!a-c]x", "\xc3\xa9x", true},
      {"[!a]x", "/x", false},
      {"[a-c]x", "\xc3\xa9x", false},
      {"[]]", "]", true},
      {"[a-]", "-", true},
      {"[\\]]", "]", true},
      {"[[:digit:]]*", "7a", true},
      {"[![:digit:]]*", "7a", false},
      {"[[:nope:]]", ":]", true}, // a class of "[:nope", then ']'
      // Braces and escapes.
      {"*.{txt,csv}", "a.csv", true},
      {"*.{txt,csv}", "a.json", false},
      {"{a,b{c,d}}/*", "bd/x", true},
      {"{a/x,y}", "deep/y", true}, // each alternative on its own
      {"{a/x,y}", "deep/a/x", false},
      {"\\*.txt", "*.txt", true},
      {"\\*.txt", "a.txt", false},
      {"a+(b).$", "a+(b).$", true},
      {"\xff*", "\xff\xfe", true},
  };
  for (const Case& each : cases)
    EXPECT_EQ(glob(each.glob).matches(each.path), each.expected) << each.glob << " on " << each.path;
}

TEST(Glob, LiteralMatchesThatPathAlone) {
  for (const std::string_view path : {"a.txt", "a/b*c", "[x]/{y}", "back\\slash", "q?"}) {
    const Glob one = glob(Glob::literal(path));
    EXPECT_TRUE(one.matches(path)) << path;
    EXPECT_FALSE(one.matches("x/" + std::string(path))) << path;
  }
  EXPECT_FALSE(glob(Glob::literal("q?")).matches("qq"));
}

TEST(Glob, TakesLinearTime) {
  std::string deep;
  for (int i = 0; i < 2'000; ++i) deep += "a/";
  const std::string name(4'000, 'a');
  // Each of these takes hours where a mismatch is tried again from each star.
  EXPECT_FALSE(glob("**/a/**/a/**/a/**/a/**/a/**/a/**/a/b").matches(deep));
  EXPECT_FALSE(glob("*a*a*a*a*a*a*a*a*a*a*a*a*b").matches(name));
  EXPECT_FALSE(glob("{*a,*b}{*a,*b}{*a,*b}{*a,*b}c").matches(name));
}

TEST(Glob, RefusesWhatCannotMatch) {
  struct Case {
    std::string_view glob;
    std::string_view message;
  };
  const Case cases[] = {{"", "the pattern is empty"},
                        {"a[b", "'[' is not closed"},
                        {"a{b", "'{' is not closed"},
                        {"a\\", "a backslash at the end takes no character"},
                        {"a//b", "no path matches: it has an empty name"},
                        {"//a", "no path matches: it has an empty name"},
                        {"./a", "no path matches: it has '.'"},
                        {"a/../b", "no path matches: it has '..'"},
                        {"{ok,../b}", "no path matches: it has '..'"},
                        {"[z-a]", "the range 'z-a' is reversed"},
                        {"[\xc3\xa9]", "a class takes ASCII characters only"},
                        {"[/]", "no character is in its class"},
                        {"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 256 alternatives in braces"}};
  for (const Case& each : cases) {
    const auto parsed = Glob::parse(each.glob);
    ASSERT_FALSE(parsed) << each.glob;
    EXPECT_EQ(parsed.error().kind, ErrorKind::config);
    EXPECT_EQ(parsed.error().message, each.message) << each.glob;
  }
}

TEST(Selection, FirstMatchWins) {
  struct Case {
    Selection selection;
    std::string_view path;
    bool expected;
  };
  const Case cases[] = {
      {Selection(), "any", true},
      {selection_of({{false, "secret*"}, {true, "*.txt"}}), "a.txt", true},
      {selection_of({{false, "secret*"}, {true, "*.txt"}}), "secret.txt", false},
      {selection_of({{false, "secret*"}, {true, "*.txt"}}), "a.csv", false}, // no include matched
      {selection_of({{false, "*.tmp"}}), "a.csv", true},
      // An excluded directory holds nothing that is taken, wherever its rule stands and however the file was found.
      {selection_of({{false, "old"}}), "a/old/b/x.txt", false},
      {selection_of({{true, "*.csv"}, {false, "old"}, {true, "*"}}), "old/x.txt", false},
      {selection_of({{true, "*.csv"}, {false, "old"}, {true, "*"}}), "old/x.csv", true},
      {selection_of({{false, "tmp/"}}), "tmp/x", false},
      {selection_of({{false, "tmp/"}}), "tmp", true}, // a file
      {selection_of({{true, "ok/"}}), "ok/x", true},
      {selection_of({{true, "/*"}}), "a/x", false}, // an include takes what it matches, not what is below
  };
  for (const Case& each : cases) EXPECT_EQ(each.selection.takes_name(each.path), each.expected) << each.path;
}

TEST(Selection, DecidesByNameSizeAndAge) {
  using enum Selected;
  const std::int64_t now = 1'000'000'000'000;
  Selection selection = selection_of({{true, "a"}});
  selection.min_size_bytes = 10;
  selection.max_size_bytes = 20;
  selection.min_age = std::chrono::minutes(1);
  const auto entry = [&](std::string path, EntryType type, std::uint64_t size, std::optional<std::int64_t> age_ms) {
    Entry out{std::move(path), type, size, {}, {}, ""};
    if (age_ms) out.mtime_ns = (now - *age_ms) * 1'000'000;
    return out;
  };
  struct Case {
    Entry entry;
    Selected expected;
  };
  const Case cases[] = {
      {entry("a", EntryType::file, 15, 61'000), yes},
      {entry("a", EntryType::file, 15, 59'000), too_recent},
      {entry("a", EntryType::file, 15, {}), yes},
      {entry("a", EntryType::file, 9, 61'000), filtered},
      {entry("a", EntryType::file, 21, 59'000), filtered},
      {entry("b", EntryType::file, 15, 59'000), filtered},
      {entry("a", EntryType::symlink, 3, 59'000), yes}, // the size and the age are not those of what it names
      {entry("b", EntryType::symlink, 3, 61'000), filtered},
  };
  for (const Case& each : cases) {
    const Decision decision = selection.decide(each.entry, now);
    EXPECT_EQ(decision.outcome, each.expected) << each.entry.path << " " << each.entry.size_bytes;
    EXPECT_EQ(decision.rule != nullptr, each.entry.path == "a");
  }
}

TEST(Selection, EntersDirectoriesThatMayHoldSelectedFiles) {
  const Selection shut =
      selection_of({{false, "old/**"}, {false, ".git"}, {false, "tmp/"}, {true, "*.txt"}, {false, "new/**"}});
  const Selection narrow = selection_of({{true, "/2026-11-2*/*.txt"}, {true, "b/{c,d}/**"}});
  struct Case {
    const Selection& selection;
    std::string_view directory;
    bool expected;
  };
  const Case cases[] = {
      {shut, "old", false},
      {shut, "old/below", false},
      {shut, "a/old", true}, // "old/**" is anchored
      {shut, "a/.git", false},
      {shut, "a/tmp", false},
      {shut, "new", true}, // an include before it may take files below
      {shut, "other", true},
      {narrow, "2026-11-27", true},
      {narrow, "2026-11-27/deeper", true}, // decided by the literal beginning alone
      {narrow, "2026-12-01", false},
      {narrow, "a", false},
      {narrow, "b", true},
      {narrow, "b/c/d", true},
      {narrow, "b/x", true},
      {narrow, "bc", false},
  };
  for (const Case& each : cases) EXPECT_EQ(each.selection.enters(each.directory), each.expected) << each.directory;
}

} // namespace
} // namespace checkvalve
