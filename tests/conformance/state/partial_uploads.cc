// What is recorded of partial uploads.
#include "suite.h"

namespace checkvalve::test {
namespace {

PartialUploadRecord upload_of(std::string path, std::string temporary) {
  return {.pair = pair,
          .path = std::move(path),
          .temporary = std::move(temporary),
          .holder = "host:1@boot-\xff",
          .plan = "p",
          .size_bytes = 1ULL << 40,
          .mtime_ns = -1'500'000'000,
          .etag = std::string("\"v\0\xff\"", 5),
          .acknowledged_bytes = 1ULL << 39,
          .digest = "xxh128:00112233445566778899aabbccddeeff"};
}

Lease taken(StateStore& store) { return awaited(store.leases.take("p", 1, "worker", long_ttl)).value().lease.value(); }

void record(StateStore& store, const Lease& lease, const PartialUploadRecord& upload) {
  ASSERT_TRUE(ok(awaited(store.partial_uploads.record(lease, upload))));
}

// What is recorded, without when.
std::optional<PartialUploadRecord> found(StateStore& store, const std::string& path, const PairKey& of = pair) {
  auto record = awaited(store.partial_uploads.find(of, path)).value();
  if (record) {
    EXPECT_GT(std::exchange(record->recorded_ms, 0), 1'700'000'000'000);
  }
  return record;
}

TEST_P(StateStoreSuite, KeepsEachFieldOfAPartialUpload) {
  make_plan("p", 1, 1);
  Lease lease = taken(*store_);
  PartialUploadRecord bare = upload_of("bare", ".cv-2.part");
  bare.mtime_ns.reset();
  bare.etag.clear();
  bare.pair = {"in", "elsewhere"};
  const PartialUploadRecord full = upload_of("d/\xc3\xa4 \xff\n'\"%_", ".cv-1.part");
  record(*store_, lease, full);
  record(*store_, lease, bare);
  EXPECT_EQ(found(*store_, full.path), full);
  EXPECT_EQ(found(*store_, bare.path, bare.pair), bare);
  EXPECT_EQ(found(*store_, full.path, bare.pair), std::nullopt);
  EXPECT_EQ(found(*store_, "another"), std::nullopt);
  EXPECT_EQ(awaited(store_->partial_uploads.newest(10))->size(), 2U);
  EXPECT_EQ(awaited(store_->partial_uploads.newest(1))->size(), 1U);
}

TEST_P(StateStoreSuite, ALaterPartialUploadOfAFileReplacesTheEarlierOne) {
  make_plan("p", 1, 1);
  Lease lease = taken(*store_);
  record(*store_, lease, upload_of("f", ".cv-1.part"));
  PartialUploadRecord later = upload_of("f", ".cv-2.part");
  later.holder.clear();
  later.size_bytes = 9;
  later.mtime_ns = 8;
  later.etag = "e";
  later.acknowledged_bytes = 7;
  later.digest = "sha256:00";
  record(*store_, lease, later);
  EXPECT_EQ(found(*store_, "f"), later);
}

TEST_P(StateStoreSuite, OnlyTheBatchsPresentLeaseRecordsAPartialUpload) {
  make_plan("p", 1, 1);
  Lease lease = taken(*store_);
  const Lease first = lease;
  ASSERT_TRUE(ok(awaited(store_->leases.abandon("p", 1, "worker"))));
  lease = taken(*store_);
  record(*store_, lease, upload_of("f", ".cv-2.part"));
  ASSERT_TRUE(ok(awaited(store_->partial_uploads.record(first, upload_of("f", ".cv-1.part")))));
  EXPECT_EQ(found(*store_, "f")->temporary, ".cv-2.part");
  ASSERT_TRUE(ok(awaited(store_->leases.release(lease))));
  record(*store_, lease, upload_of("g", ".cv-3.part"));
  EXPECT_EQ(found(*store_, "g"), std::nullopt);
}

TEST_P(StateStoreSuite, AClaimOfAPartialUploadRenewsItsAgeAndNamesThePlan) {
  make_plan("p", 1, 1);
  Lease lease = taken(*store_);
  record(*store_, lease, upload_of("f", ".cv-1.part"));
  record(*store_, lease, upload_of("g", ".cv-2.part"));
  fixture_->sql("UPDATE cv_partial_uploads SET recorded_ms = 5");
  ASSERT_TRUE(ok(awaited(store_->partial_uploads.claim("q", {".cv-2.part", ".cv-9.part"}))));
  EXPECT_EQ(found(*store_, "g")->plan, "q");
  EXPECT_EQ(awaited(store_->partial_uploads.find(pair, "f")).value()->plan, "p");
  EXPECT_EQ(awaited(store_->partial_uploads.find(pair, "f")).value()->recorded_ms, 5);
}

TEST_P(StateStoreSuite, PartialUploadsAreRemovedByTemporaryAndPrunedByAge) {
  make_plan("p", 1, 1);
  Lease lease = taken(*store_);
  for (const char* name : {"a", "b", "c"})
    record(*store_, lease, upload_of(name, std::string(".cv-") + name + ".part"));
  ASSERT_TRUE(ok(awaited(store_->partial_uploads.remove(".cv-a.part"))));
  ASSERT_TRUE(ok(awaited(store_->partial_uploads.remove(".cv-a.part"))));
  EXPECT_EQ(found(*store_, "a"), std::nullopt);
  fixture_->sql("UPDATE cv_partial_uploads SET recorded_ms = 5 WHERE temporary = '.cv-b.part'");
  ASSERT_TRUE(ok(awaited(store_->plans.prune(std::chrono::hours(1)))));
  EXPECT_EQ(found(*store_, "b"), std::nullopt);
  EXPECT_NE(found(*store_, "c"), std::nullopt);
}

} // namespace
} // namespace checkvalve::test
