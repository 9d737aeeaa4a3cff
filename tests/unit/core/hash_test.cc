#include "core/hash.h"

#include <gtest/gtest.h>

#include <array>

namespace checkvalve {
namespace {

std::string digest_of(HashAlgorithm algorithm, std::string_view text) {
  Hasher hasher(algorithm);
  for (const char& byte : text) hasher.update(std::as_bytes(std::span(&byte, 1)));
  EXPECT_EQ(hasher.digest(), hasher.digest());
  return hasher.digest();
}

TEST(Hash, GivesTheDigestsThatOthersGive) {
  EXPECT_EQ(digest_of(HashAlgorithm::xxh128, ""), "xxh128:99aa06d3014798d86001c324468d497f"); // xxhsum -H2
  EXPECT_EQ(digest_of(HashAlgorithm::crc32c, ""), "crc32c:00000000");
  EXPECT_EQ(digest_of(HashAlgorithm::crc32c, "123456789"), "crc32c:e3069283"); // the check value of CRC-32C
  EXPECT_EQ(digest_of(HashAlgorithm::sha256, ""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of(HashAlgorithm::sha256, "abc"), // FIPS 180-2, appendix B.1
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, ContinuesAfterADigestWasTaken) {
  for (const auto algorithm : {HashAlgorithm::xxh128, HashAlgorithm::sha256, HashAlgorithm::crc32c}) {
    Hasher hasher(algorithm);
    hasher.update(std::as_bytes(std::span("a", 1)));
    (void)hasher.digest();
    hasher.update(std::as_bytes(std::span("bc", 2)));
    EXPECT_EQ(hasher.digest(), digest_of(algorithm, "abc"));
  }
}

TEST(Hash, FormatsAGivenDigestInTheSameWay) {
  constexpr std::array expected = {std::byte{0xe3}, std::byte{0x06}, std::byte{0x92}, std::byte{0x83}};
  EXPECT_EQ(digest_text(HashAlgorithm::crc32c, expected), digest_of(HashAlgorithm::crc32c, "123456789"));
}

} // namespace
} // namespace checkvalve
