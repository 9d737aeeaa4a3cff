#include "sync/spool.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace checkvalve {
namespace {

std::vector<std::string> sorted_keys(std::size_t memory_bytes, const std::vector<std::string>& keys) {
  Spool spool(memory_bytes);
  for (const std::string& key : keys) EXPECT_TRUE(spool.add(key, "payload of " + key));
  EXPECT_TRUE(spool.finish());
  std::vector<std::string> out;
  std::string_view key;
  std::string_view payload;
  for (auto more = spool.next(key, payload); *more; more = spool.next(key, payload)) {
    EXPECT_EQ(payload, "payload of " + std::string(key));
    out.emplace_back(key);
  }
  return out;
}

TEST(Spool, SortsInMemoryAndThroughFilesAlike) {
  std::mt19937_64 random(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 5'000; ++i)
    keys.push_back(fmt::format("{:x}/{}", random() % 4'096, std::string(random() % 40, '\xff')));
  std::vector<std::string> wanted = keys;
  std::ranges::sort(wanted);
  EXPECT_EQ(sorted_keys(8 << 20, keys), wanted);
  EXPECT_EQ(sorted_keys(10'000, keys), wanted); // some forty runs
  keys.resize(200);
  wanted = keys;
  std::ranges::sort(wanted);
  EXPECT_EQ(sorted_keys(1, keys), wanted); // a run a record
}

TEST(Spool, EmptyIsEmpty) { EXPECT_TRUE(sorted_keys(100, {}).empty()); }

TEST(EntrySpool, KeepsEntriesWhole) {
  EntrySpool spool;
  Entry entry{"b\xff", EntryType::symlink, 1ULL << 40, -5, 0755, "etag"};
  ASSERT_TRUE(spool.add(entry));
  ASSERT_TRUE(spool.add({"a", EntryType::file, 0, {}, {}, ""}));
  ASSERT_TRUE(spool.finish());
  ASSERT_TRUE(spool.advance());
  EXPECT_EQ(spool.present()->path, "a");
  EXPECT_FALSE(spool.present()->mtime_ns);
  ASSERT_TRUE(spool.advance());
  EXPECT_EQ(spool.present()->path, entry.path);
  EXPECT_EQ(spool.present()->type, EntryType::symlink);
  EXPECT_EQ(spool.present()->size_bytes, entry.size_bytes);
  EXPECT_EQ(spool.present()->mtime_ns, entry.mtime_ns);
  EXPECT_EQ(spool.present()->mode, entry.mode);
  EXPECT_EQ(spool.present()->etag, "etag");
  ASSERT_TRUE(spool.advance());
  EXPECT_EQ(spool.present(), nullptr);
}

} // namespace
} // namespace checkvalve
