#include "core/chunk.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace checkvalve {
namespace {

TEST(Chunk, HoldsItsBytes) {
  const Chunk empty;
  EXPECT_TRUE(empty.empty());
  const Chunk copy = Chunk::copy_of(std::string_view("hello"));
  EXPECT_EQ(copy.text(), "hello");
  EXPECT_EQ(copy.size(), 5U);
  const Chunk nothing = Chunk::copy_of(std::string_view());
  EXPECT_TRUE(nothing.empty());
}

TEST(Chunk, IsWritableOverItsWholeSize) {
  // Sizes on, below and above each shelf of recycled buffers; a sanitizer build checks the bounds.
  for (std::size_t size : {1, 1'000, 16'383, 16'384, 32'768, 33'792, 33'793, 66'560, 262'144, 263'168, 1'048'576,
                           1'049'600, 1'049'601, 5'000'000}) {
    Chunk chunk = Chunk::allocate(size);
    ASSERT_EQ(chunk.size(), size);
    std::memset(chunk.data(), 0x5A, size);
    EXPECT_EQ(chunk.bytes().back(), std::byte{0x5A});
  }
}

TEST(Chunk, Narrows) {
  Chunk chunk = Chunk::copy_of(std::string_view("headerpayloadtrailer"));
  chunk.narrow(6, 7);
  EXPECT_EQ(chunk.text(), "payload");
  chunk.narrow(3, 2);
  EXPECT_EQ(chunk.text(), "lo");
  chunk.narrow(0, 0);
  EXPECT_TRUE(chunk.empty());
}

TEST(Chunk, Moves) {
  Chunk first = Chunk::copy_of(std::string_view("first"));
  Chunk second = std::move(first);
  EXPECT_TRUE(first.empty()); // NOLINT(bugprone-use-after-move): moved-from chunks are empty
  EXPECT_EQ(second.text(), "first");
  Chunk third = Chunk::copy_of(std::string_view("third"));
  third = std::move(second);
  EXPECT_EQ(third.text(), "first");
}

TEST(Chunk, UsesABufferAgain) {
  const std::byte* address = nullptr;
  {
    Chunk chunk = Chunk::allocate(256 * 1024);
    chunk.narrow(100, 50); // the whole buffer goes back nevertheless
    address = chunk.data() - 100;
  }
  const Chunk again = Chunk::allocate(256 * 1024);
  EXPECT_EQ(again.data(), address);
}

TEST(Chunk, MayBeDroppedOnAnotherThread) {
  std::vector<Chunk> chunks;
  for (int i = 0; i < 100; ++i) chunks.push_back(Chunk::allocate(100'000));
  std::thread other([moved = std::move(chunks)]() mutable { moved.clear(); });
  for (int i = 0; i < 100; ++i) Chunk::allocate(100'000);
  other.join();
}

} // namespace
} // namespace checkvalve
