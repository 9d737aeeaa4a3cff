// A large file is resumed by another run where what the target holds is proven to be of today's source.
#include <fmt/format.h>

#include <random>

#include "core/hash.h"
#include "doubles/memory/memory_tree.h"
#include "sync/holder.h"
#include "sync/partial_uploads.h"
#include "sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::awaited;
using testing_support::second;

constexpr std::size_t size_bytes = PartialUploads::recorded_from_bytes + 12'345;
constexpr std::size_t acknowledged_bytes = 40'000'001;
constexpr std::int64_t mtime_ns = 1'000 * second;

std::string random_content(unsigned seed) {
  std::mt19937_64 random(seed);
  std::string content(size_bytes, '\0');
  for (std::size_t at = 0; at + 8 <= content.size(); at += 8) {
    const std::uint64_t word = random();
    content.replace(at, 8, reinterpret_cast<const char*>(&word), 8);
  }
  return content;
}

std::string digest_of(std::string_view content, HashAlgorithm algorithm = HashAlgorithm::xxh128) {
  Hasher hasher(algorithm);
  hasher.update(std::as_bytes(std::span(content)));
  return hasher.digest();
}

class Resume : public testing_support::SyncFixture {
public:
  Resume() {
    job.target.options["resumes_temporaries"] = "yes";
    put(*source, "in/large", content, mtime_ns);
    engine.events.on_event = [this](const EngineEvent& event) {
      if (const auto* published = std::get_if<FilePublishedEvent>(&event)) digest = published->digest;
    };
  }

  // A plan whose run was killed within the file. Its id.
  std::string killed(std::size_t at_target_bytes = acknowledged_bytes + 777) {
    const std::string id = plan().value().plan;
    const Lease lease = awaited(store->leases.take(id, 1, "gone", std::chrono::hours(1)))->lease.value();
    const TemporaryName name{id, lease.generation, lease.nonce, 1};
    temporary = "out/" + name.text();
    // What was not acknowledged may be anything.
    std::string left = content.substr(0, acknowledged_bytes) + std::string(1'000, '?');
    target->put_file(temporary, left.substr(0, at_target_bytes));
    PartialUploadRecord record{.pair = identities(job).value(),
                               .path = "large",
                               .temporary = name.text(),
                               .holder = holder,
                               .plan = id,
                               .size_bytes = size_bytes,
                               .mtime_ns = mtime_ns,
                               .acknowledged_bytes = acknowledged_bytes,
                               .digest = digest_of(content.substr(0, acknowledged_bytes), algorithm)};
    EXPECT_OK(awaited(store->partial_uploads.record(lease, record)));
    EXPECT_OK(awaited(store->leases.abandon(id, 1, "gone")));
    target->bytes_written = 0;
    return id;
  }
  std::size_t records() { return awaited(store->partial_uploads.newest(10))->size(); }

  void expect_arrived() {
    expect_same_trees();
    EXPECT_EQ(records(), 0U);
    EXPECT_EQ(digest, digest_of(*source->find("in/large")->content));
  }

  const std::string content = random_content(1);
  HashAlgorithm algorithm = HashAlgorithm::xxh128;
  std::string holder;
  std::string temporary;
  std::string digest;
};

TEST_F(Resume, WhatIsProvenIsNotSentAgain) {
  struct Row {
    std::string sentence;
    std::function<void(Resume&)> change; // after the run was killed
    bool resumed;
    bool same_plan_too = false;
  };
  const auto with_byte = [](const Resume& t, std::size_t at) {
    std::string other = t.content;
    other[at] ^= 1;
    return other;
  };
  const std::vector<Row> rows = {
      {"nothing changed", [](Resume&) {}, true, true},
      {"with --checksum", [](Resume& t) { t.job.checksum = true; }, true},
      {"with --verify hash", [](Resume& t) { t.job.verify = VerifyMode::hash; }, true},
      {"with --verify readback", [](Resume& t) { t.job.verify = VerifyMode::readback; }, true},
      {"other content of equal size and mtime behind what was acknowledged",
       [&](Resume& t) { t.put(*t.source, "in/large", with_byte(t, acknowledged_bytes), mtime_ns); }, true},
      {"other content of equal size and mtime at the beginning",
       [&](Resume& t) { t.put(*t.source, "in/large", with_byte(t, 0), mtime_ns); }, false, true},
      {"other content of equal size and mtime, the last byte that was acknowledged",
       [&](Resume& t) { t.put(*t.source, "in/large", with_byte(t, acknowledged_bytes - 1), mtime_ns); }, false},
      {"another mtime", [](Resume& t) { t.put(*t.source, "in/large", t.content, mtime_ns + second); }, false},
      {"another size", [](Resume& t) { t.put(*t.source, "in/large", t.content + "x", mtime_ns); }, false},
      {"the temporary has vanished", [](Resume& t) { t.target->remove(t.temporary); }, false, true},
      {"the temporary is shorter than what was acknowledged",
       [](Resume& t) { t.target->put_file(t.temporary, t.content.substr(0, acknowledged_bytes - 1)); }, false},
      {"the target does not take bytes at any offset",
       [](Resume& t) { t.job.target.options["resumes_temporaries"] = "no"; }, false},
      {"the state has lost the record",
       [](Resume& t) { EXPECT_OK(awaited(t.store->partial_uploads.remove(t.temporary.substr(4)))); }, false},
  };
  for (const bool same_plan : {false, true})
    for (const Row& row : rows) {
      if (same_plan && !row.same_plan_too) continue;
      SCOPED_TRACE(fmt::format("{}, {} plan", row.sentence, same_plan ? "the same" : "a later"));
      const Job before = job;
      put(*source, "in/large", content, mtime_ns);
      target->remove("out/large");
      const std::string id = killed();
      row.change(*this);
      const auto done = same_plan ? run(id) : sync();
      ASSERT_OK(done);
      EXPECT_EQ(done->files_copied, 1U);
      const std::size_t whole = source->find("in/large")->size_bytes();
      EXPECT_EQ(target->bytes_written, row.resumed ? whole - acknowledged_bytes : whole);
      expect_arrived();
      job = before;
    }
}

TEST_F(Resume, ADigestOfAnotherAlgorithmProvesNothing) {
  algorithm = HashAlgorithm::sha256;
  killed();
  ASSERT_OK(sync());
  EXPECT_EQ(target->bytes_written, size_bytes);
  expect_arrived();
}

// A suspended worker would write into the file, perhaps under its final name.
TEST_F(Resume, WhatSomebodyMayStillWriteToIsNotTakenOver) {
  holder = this_holder();
  killed();
  ASSERT_OK(sync());
  EXPECT_EQ(target->bytes_written, size_bytes);
  expect_arrived();
}

// A run that is cancelled leaves a large file to the next one.
TEST_F(Resume, ACancelledRunIsResumed) {
  const std::string id = plan().value().plan;
  Engine shared = parts();
  Connections both = connections().value();
  const auto cancel_within_the_file = [this]() -> Task<Result<void>> {
    while (target->bytes_written < 30'000'000) co_await next_turn();
    cancellation.request(make_error(ErrorKind::interrupted, "enough"));
    co_return Result<void>();
  };
  std::optional<JoinHandle<Result<void>>> cancelling;
  const auto report = std::exchange(engine.events.on_event, [&](const EngineEvent& event) {
    if (std::holds_alternative<FileStartedEvent>(event)) cancelling = spawn(cancel_within_the_file());
  });
  const auto cancelled = engine.run(run_plan(shared, job, id, both, {}));
  engine.events.on_event = report;
  ASSERT_OK(cancelled);
  EXPECT_TRUE(cancelled->interrupted);
  EXPECT_EQ(target->temporaries().size(), 1U);
  ASSERT_EQ(records(), 1U);
  const std::uint64_t kept = awaited(store->partial_uploads.newest(1))->front().acknowledged_bytes;
  EXPECT_GT(kept, 20'000'000U);
  target->bytes_written = 0;
  Cancellation another;
  Engine next{engine.loop, engine.events, engine.workers, *store, another};
  ASSERT_OK(engine.run(run_plan(next, job, id, both, {})));
  EXPECT_EQ(target->bytes_written, size_bytes - kept);
  expect_arrived();
}

TEST_F(Resume, ASweepLeavesWhatAPlanHasClaimedUntilItIsOld) {
  killed();
  const std::string claiming = plan().value().plan;
  const auto sweep = [&](std::chrono::milliseconds older_than) {
    Engine shared = parts();
    Connections both = connections().value();
    return engine.run(sweep_target(shared, *both.target, older_than, false)).value().removed;
  };
  EXPECT_EQ(awaited(store->partial_uploads.newest(1))->front().plan, claiming);
  EXPECT_EQ(sweep(std::chrono::hours(1)), 0U);
  // Another plan that does not need the file does not remove what this one has claimed.
  job.selection.max_size_bytes = 5;
  ASSERT_OK(plan());
  EXPECT_EQ(target->temporaries().size(), 1U);
  EXPECT_EQ(sweep(std::chrono::milliseconds(0)), 1U);
  EXPECT_EQ(records(), 0U);
}

TEST_F(Resume, AnotherSourcesPartialUploadIsNotTouched) {
  killed();
  job.source = parse_endpoint_url("memory://source/elsewhere").value();
  source->put_directory("elsewhere");
  ASSERT_OK(sync());
  EXPECT_EQ(target->temporaries().size(), 1U);
  EXPECT_EQ(records(), 1U);
}

} // namespace
} // namespace checkvalve
