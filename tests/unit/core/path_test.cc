#include "core/path.h"

#include <gtest/gtest.h>

#include <random>

namespace checkvalve {
namespace {

TEST(TreePath, AcceptsWhatATreeHolds) {
  for (const std::string path :
       {"a", "a/b c.txt", "...", ".hidden", "a/...", "-rf", "new\nline", "\xFF\xFE", "a/b/c/d/e"})
    EXPECT_TRUE(check_tree_path(path).has_value()) << path;
  EXPECT_TRUE(check_tree_path(std::string(255, 'n') + "/" + std::string(255, 'm')).has_value());
}

TEST(TreePath, RefusesWhatLeavesTheTreeOrFitsNone) {
  for (const std::string& path :
       {std::string(""), std::string("/"), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string(".."), std::string("a/../b"), std::string("a/."), std::string("../a"), std::string("a\0b", 3),
        std::string(256, 'n'), "a/" + std::string(256, 'n')}) {
    const auto checked = check_tree_path(path);
    ASSERT_FALSE(checked.has_value()) << path;
    EXPECT_EQ(checked.error().kind, ErrorKind::invalid_name);
    EXPECT_FALSE(checked.error().message.empty());
  }
}

TEST(TreePath, ChecksOneName) {
  EXPECT_TRUE(check_name("a b").has_value());
  for (const char* bad : {"", ".", "..", "a/b"}) EXPECT_FALSE(check_name(bad).has_value()) << bad;
}

TEST(TreePath, JoinsAndSplits) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("a", ""), "a");
  EXPECT_EQ(join_path("/", "a"), "/a");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(parent_path("a/b/c.txt"), "a/b");
  EXPECT_EQ(parent_path("c.txt"), "");
  EXPECT_EQ(base_name("a/b/c.txt"), "c.txt");
  EXPECT_EQ(base_name("c.txt"), "c.txt");
}

TEST(EscapeBytes, LeavesReadableNamesAsTheyAre) {
  for (const char* text : {"plain", "with space", "\xC3\xA9", "\xE6\x97\xA5", "\xF0\x9F\x9A\xB0", "quote\"'"})
    EXPECT_EQ(escape_bytes(text), text);
  EXPECT_EQ(escape_bytes("a\nb"), "a\\x0ab");
  EXPECT_EQ(escape_bytes("back\\slash"), "back\\\\slash");
  EXPECT_EQ(escape_bytes("\xFF"), "\\xff");
  EXPECT_EQ(escape_bytes("\x7F"), "\\x7f");
  EXPECT_EQ(escape_bytes("\xC2\x9B"), "\\xc2\\x9b");                   // U+009B: a terminal may take it for ESC [
  EXPECT_EQ(escape_bytes("\xC3"), "\\xc3");                            // cut short
  EXPECT_EQ(escape_bytes("\xC0\xAF"), "\\xc0\\xaf");                   // not the shortest form
  EXPECT_EQ(escape_bytes("\xED\xA0\x80"), "\\xed\\xa0\\x80");          // a surrogate
  EXPECT_EQ(escape_bytes("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); // beyond U+10FFFF
}

TEST(EscapeBytes, ComesBackForAnyBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::size_t i = random() % 16; i > 0; --i) {
      // Mostly what matters: backslashes, 'x', digits, and lead and continuation bytes.
      static constexpr std::string_view special = "\\\\xx09af\xC3\xA9\xE2\x82\xAC\xF0\x9F\x80\xFF\n";
      bytes += random() % 4 == 0 ? static_cast<char>(random() % 256) : special[random() % special.size()];
    }
    const std::string escaped = escape_bytes(bytes);
    EXPECT_TRUE(is_valid_utf8(escaped));
    for (char c : escaped) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    const auto again = unescape_bytes(escaped);
    ASSERT_TRUE(again.has_value()) << escaped;
    EXPECT_EQ(*again, bytes);
  }
}

TEST(EscapeBytes, RefusesABackslashThatMeansNothing) {
  for (const char* text : {"\\", "\\n", "\\x", "\\x1", "\\xg0", "a\\"})
    EXPECT_FALSE(unescape_bytes(text).has_value()) << text;
}

} // namespace
} // namespace checkvalve
