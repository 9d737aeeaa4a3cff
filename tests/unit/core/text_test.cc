#include "core/text.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

TEST(Text, LowersAsciiAlone) { EXPECT_EQ(lower_ascii("AZaz[@\xc3\x84"), "azaz[@\xc3\x84"); }

// RFC 4648, section 10.
TEST(Text, Base64InBothDirections) {
  constexpr std::pair<std::string_view, std::string_view> cases[] = {
      {"f", "Zg=="},        {"fo", "Zm8="},        {"foo", "Zm9v"}, // codespell:ignore
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [plain, encoded] : cases) {
    const auto bytes = std::as_bytes(std::span(plain));
    EXPECT_EQ(base64(bytes), encoded);
    const auto decoded = from_base64(encoded);
    ASSERT_TRUE(decoded) << encoded;
    EXPECT_TRUE(std::ranges::equal(*decoded, bytes)) << encoded;
  }
  for (const std::string_view bad : {"", "Zg", "Zg=", "Zm9*"}) EXPECT_FALSE(from_base64(bad)) << bad;
}

} // namespace
} // namespace checkvalve
