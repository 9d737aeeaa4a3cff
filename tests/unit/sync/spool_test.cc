#include "sync/spool.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
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

TEST(SpilledStack, GivesTheNewestFirstWhereverItLies) {
  std::mt19937_64 random(3);
  for (const std::size_t memory_bytes : {1, 300, 1 << 20}) {
    SpilledStack stack(memory_bytes);
    std::vector<std::string> wanted;
    std::string popped;
    for (int i = 0; i < 20'000; ++i) {
      const bool grows = i / 4'000 % 2 == 0; // up and down several times
      if (wanted.empty() || random() % 4 != 0 == grows) {
        wanted.push_back(std::string(random() % 50, 'x') + std::to_string(i));
        ASSERT_TRUE(stack.push(wanted.back()));
      } else {
        ASSERT_TRUE(stack.pop(popped));
        ASSERT_EQ(popped, wanted.back());
        wanted.pop_back();
      }
      ASSERT_EQ(stack.empty(), wanted.empty());
    }
  }
}

TEST(Spool, AFullDiskIsNotTheEndpoints) {
  enum Outcome { as_expected, no_error, other_error, no_mount };
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small disk takes root";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        ::mount("tmpfs", "/mnt", "tmpfs", 0, "size=64k") != 0)
      ::_exit(no_mount);
    ::setenv("TMPDIR", "/mnt", 1);
    Spool spool(10'000);
    for (int i = 0; i < 10'000; ++i) {
      const auto added = spool.add(std::to_string(i), "payload");
      if (added) continue;
      const bool clear =
          added.error().kind == ErrorKind::state && added.error().text().find("/mnt") != std::string::npos;
      ::_exit(clear && added.error().hint.find("TMPDIR") != std::string::npos ? as_expected : other_error);
    }
    ::_exit(no_error);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == no_mount) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

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
