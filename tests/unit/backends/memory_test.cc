// The memory store's ways to misbehave, on which tests of the engine rely.
#include "doubles/memory/memory_store.h"

#include <gtest/gtest.h>

#include "backends/registry.h"
#include "support/run.h"

namespace checkvalve {
namespace {

class MemoryTest : public testing::Test {
protected:
  ~MemoryTest() override { MemoryStore::forget(name_); }
  Endpoint endpoint() const { return *parse_endpoint_url("memory://" + name_ + "/"); }
  std::string name_ = "memory-" + random_plan_id();
  std::shared_ptr<MemoryStore> store_ = MemoryStore::named(name_);
  testing_support::TestEngine engine_;
};

Task<void> read_while_it_changes(Source& source, MemoryStore& store) {
  store.change_at_read("file", 2, "BBBBBB", 7);
  CO_ASSERT_VALUE(const Entry entry, co_await source.stat("file", true));
  CO_ASSERT_VALUE(auto reader, co_await source.open(entry));
  CO_ASSERT_VALUE(const Chunk first, co_await reader->read(0, 2));
  CO_ASSERT_VALUE(const Chunk second, co_await reader->read(2, 2));
  EXPECT_EQ(first.text(), "aa");
  EXPECT_EQ(second.text(), "BB");
  CO_ASSERT_VALUE(const Entry now, co_await reader->stat());
  EXPECT_EQ(now.size_bytes, 6U);
  EXPECT_EQ(now.mtime_ns, 7);
  EXPECT_EQ(store.bytes_read, 4U);
  EXPECT_EQ(store.files_open, 1U);
}

TEST_F(MemoryTest, ChangesAFileDuringARead) {
  store_->put_file("file", "aaaa", 5);
  auto source = make_source(engine_.context, endpoint());
  ASSERT_OK(source);
  engine_.run(read_while_it_changes(**source, *store_));
  EXPECT_EQ(store_->files_open, 0U);
  EXPECT_EQ(store_->max_files_open, 1U);
}

Task<void> open_too_many(Target& target) {
  const std::string plan = random_plan_id();
  CO_ASSERT_VALUE(auto first, co_await target.begin("a", {{plan, 1, "00000000", 1}, 1}));
  CO_ASSERT_VALUE(auto second, co_await target.begin("b", {{plan, 1, "00000000", 2}, 1}));
  EXPECT_FAILS(co_await target.begin("c", {{plan, 1, "00000000", 3}, 1}), ErrorKind::io);
  second.reset();
  EXPECT_OK(co_await target.begin("c", {{plan, 1, "00000000", 3}, 1}));
}

TEST_F(MemoryTest, RefusesMoreFilesInFlightThanItSays) {
  Endpoint narrow = endpoint();
  narrow.options["files_in_flight"] = "2";
  auto target = make_target(engine_.context, narrow);
  ASSERT_OK(target);
  engine_.run(open_too_many(**target));
  EXPECT_EQ(store_->temporaries().size(), 3U);
}

TEST_F(MemoryTest, FollowsLinksInTheMiddleOfAPath) {
  store_->put_directory("a");
  store_->put_directory("a/b");
  store_->put_file("a/b/file", "x");
  store_->put_link("a/up", "..");
  store_->put_link("short", "a/b");
  store_->put_link("out", "../elsewhere");
  store_->put_link("circle", "circle/x");
  EXPECT_EQ(store_->resolve("short/file"), "a/b/file");
  EXPECT_EQ(store_->resolve("a/up/a/up/short"), "a/b");
  EXPECT_EQ(store_->resolve("a/up/short", false), "short");
  EXPECT_EQ(store_->resolve("out"), std::nullopt);
  EXPECT_EQ(store_->resolve("circle"), std::nullopt);
  EXPECT_EQ(store_->resolve("no/such"), "no/such");
}

TEST_F(MemoryTest, StoresAreApartByName) {
  store_->put_file("file", "x");
  EXPECT_EQ(MemoryStore::named(name_ + "-other")->find("file"), nullptr);
  EXPECT_NE(MemoryStore::named(name_)->find("file"), nullptr);
  MemoryStore::forget(name_);
  EXPECT_EQ(MemoryStore::named(name_)->find("file"), nullptr);
  MemoryStore::forget(name_ + "-other");
}

} // namespace
} // namespace checkvalve
