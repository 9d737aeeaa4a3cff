// Leases over time: from when they count, outages of the state, and how workers share a plan.
#include <fmt/format.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "sync/boot_clock.h"
#include "sync/holder.h"
#include "sync/lease_keeper.h"
#include "sync_fixture.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;
using testing_support::awaited;
using testing_support::second;

class Leases : public testing_support::SyncFixture {
public:
  Leases() {
    for (int i = 0; i < 8; ++i) put(*source, fmt::format("in/{}", i), "x", second);
    job.batching.max_files = 1;
  }

  std::string planned() { return plan().value().plan; }

  std::optional<Lease> taken(const std::string& plan_id, std::uint32_t batch, const std::string& holder) {
    return awaited(store->leases.take(plan_id, batch, holder, std::chrono::hours(1)))->lease;
  }

  // As another process that keeps the state locked.
  struct Lock {
    explicit Lock(const std::string& path) {
      EXPECT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
      EXPECT_EQ(sqlite3_exec(handle, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    }
    ~Lock() {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
      sqlite3_close(handle);
    }
    sqlite3* handle = nullptr;
  };

  void expect_all_recorded(const std::string& plan_id) {
    EXPECT_EQ(awaited(store->plans.find(plan_id))->state, PlanState::done);
    for (const BatchRecord& batch : *awaited(store->plans.batches(plan_id))) {
      EXPECT_EQ(batch.files_done, batch.files) << batch.number;
    }
  }
};

TEST_F(Leases, ALeaseCountsFromWhenItWasAskedFor) {
  const std::string id = planned();
  const auto lease = taken(id, 1, "this");
  ASSERT_TRUE(lease);
  Engine shared = parts();
  const milliseconds ttl{60'000};
  LeaseKeeper keeper(shared, *lease, BootClock::now() - ttl, ttl, [] { return std::nullopt; });
  EXPECT_FALSE(keeper.holds()); // the answer took so long that it has run out
  engine.run([](LeaseKeeper& held) -> Task<void> {
    held.start();
    co_await held.renewed();
    EXPECT_TRUE(held.holds());
    EXPECT_TRUE(co_await held.finish());
  }(keeper));
}

TEST_F(Leases, ALeaseThatAnotherWorkerTookIsLostForGood) {
  const std::string id = planned();
  const auto lease = taken(id, 1, "this");
  ASSERT_TRUE(lease);
  ASSERT_OK(awaited(store->leases.abandon(id, 1, "this")));
  ASSERT_TRUE(taken(id, 1, "another"));
  Engine shared = parts();
  const milliseconds ttl{60'000};
  LeaseKeeper keeper(shared, *lease, BootClock::now() - ttl, ttl, [] { return std::nullopt; });
  engine.run([](LeaseKeeper& held) -> Task<void> {
    held.start();
    co_await held.renewed();
    EXPECT_TRUE(held.lost());
    EXPECT_FALSE(held.holds());
    EXPECT_FAILS(co_await held.finish(), ErrorKind::lease);
  }(keeper));
}

// A time namespace in which the machine has been suspended for a day (time_namespaces(7)).
TEST(BootClock, CountsWhileTheMachineIsSuspended) {
  enum Outcome { counts, does_not_count, no_namespace };
  const pid_t child = ::fork();
  if (child == 0) {
    const bool entered = ::unshare(CLONE_NEWTIME) == 0 && static_cast<bool>(std::ofstream("/proc/self/timens_offsets")
                                                                            << "boottime 86400 0" << std::flush);
    if (!entered) ::_exit(no_namespace);
    const pid_t inside = ::fork(); // the first that is in it
    if (inside == 0) {
      const auto suspended = BootClock::now().time_since_epoch() - std::chrono::steady_clock::now().time_since_epoch();
      ::_exit(suspended > std::chrono::hours(23) ? counts : does_not_count);
    }
    int status = 0;
    ::waitpid(inside, &status, 0);
    ::_exit(WEXITSTATUS(status));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == no_namespace) GTEST_SKIP() << "time namespaces are not allowed here";
  EXPECT_EQ(WEXITSTATUS(status), counts);
}

TEST_F(Leases, FreeBatchesAreDoneBeforeHeldOnesAreAwaited) {
  const std::string id = planned();
  for (std::uint32_t batch = 1; batch <= 6; ++batch) ASSERT_TRUE(taken(id, batch, "another"));
  engine.events.on_event = [&](const EngineEvent& event) {
    if (const auto* batch = std::get_if<BatchEvent>(&event); batch && batch->state == "waiting")
      cancellation.request(make_error(ErrorKind::interrupted, "enough"));
  };
  const auto done = run(id);
  ASSERT_OK(done);
  EXPECT_EQ(done->files_copied, 2U);
  EXPECT_TRUE(done->interrupted);
}

// One batch after the other is begun: what is not begun is free for other workers.
TEST_F(Leases, AWorkerTakesNoMoreBatchesThanItHasRoomFor) {
  job.target.options["files_in_flight"] = "1";
  const std::string id = planned();
  std::size_t most = 0;
  engine.events.on_event = [&](const EngineEvent& event) {
    if (!std::holds_alternative<FileStartedEvent>(event)) return;
    std::vector<std::string> warnings;
    std::size_t held = 0;
    for (const BatchRecord& batch : *awaited(open_state_store(state_path(), warnings).value()->plans.batches(id)))
      if (batch.state == BatchState::leased) {
        ++held;
        EXPECT_EQ(batch.holder, this_holder());
      }
    most = std::max(most, held);
  };
  ASSERT_OK(run(id));
  EXPECT_LE(most, 3U); // one in flight, one that ends, one whose file waits for its turn
}

TEST_F(Leases, ABatchThatWasTakenOverIsNoFailureOnceItsFilesAreThere) {
  job.batching.max_files = 100;
  job.target.options["files_in_flight"] = "1";
  const std::string id = planned();
  std::jthread other;
  engine.events.on_event = [&](const EngineEvent& event) {
    const auto* published = std::get_if<FilePublishedEvent>(&event);
    if (!published || other.joinable()) return;
    // Another worker thinks that this one is gone, and does the batch.
    std::vector<std::string> warnings;
    const auto its = open_state_store(state_path(), warnings).value();
    const std::string holder = awaited(its->plans.batches(id))->front().holder;
    ASSERT_OK(awaited(its->leases.abandon(id, 1, holder)));
    const auto lease = awaited(its->leases.take(id, 1, "another", std::chrono::hours(1)))->lease;
    ASSERT_TRUE(lease);
    other = std::jthread([this, id, lease = *lease] {
      std::vector<std::string> none;
      const auto store_of_its = open_state_store(state_path(), none).value();
      std::vector<FileOutcome> outcomes;
      for (const PlannedFile& file : *awaited(store_of_its->plans.open_files(id, 1, 0, 100)))
        outcomes.push_back({.number = file.number});
      EXPECT_OK(awaited(store_of_its->leases.checkpoint(lease, outcomes, std::nullopt)));
      EXPECT_OK(awaited(store_of_its->leases.release(lease)));
    });
  };
  const auto done = run(id);
  other.join(); // `awaited` is of one thread at a time
  ASSERT_OK(done);
  EXPECT_FALSE(done->ended_by) << done->ended_by->text();
  EXPECT_EQ(done->files_failed, 0U);
  EXPECT_EQ(done->files_copied + done->files_skipped, 8U);
  expect_all_recorded(id);
}

TEST_F(Leases, AStateThatIsLockedForLongerThanTheLeaseOnlyDelaysTheRun) {
  for (int i = 8; i < 300; ++i) put(*source, fmt::format("in/{}", i), "x", second);
  job.batching.max_files = 1'000;
  job.lease_ttl = milliseconds(300);
  const std::string id = planned();
  reopen({.busy_timeout = milliseconds(20)});
  std::jthread unlock;
  engine.events.on_event = [&, published = 0](const EngineEvent& event) mutable {
    if (!std::holds_alternative<FilePublishedEvent>(event) || ++published != 100) return;
    unlock =
        std::jthread([lock = std::make_unique<Lock>(state_path())] { std::this_thread::sleep_for(milliseconds(900)); });
  };
  const auto done = run(id);
  ASSERT_OK(done);
  EXPECT_FALSE(done->ended_by) << done->ended_by->text();
  EXPECT_EQ(done->files_copied, 300U);
  EXPECT_FALSE(engine.events.of<RetryEvent>().empty());
  expect_all_recorded(id);
  expect_same_trees();
}

TEST_F(Leases, AStateThatIsLockedDelaysPlanning) {
  reopen({.busy_timeout = milliseconds(20)});
  auto lock = std::make_unique<Lock>(state_path());
  engine.events.on_event = [&, retries = 0](const EngineEvent& event) mutable {
    if (std::holds_alternative<RetryEvent>(event) && ++retries == 2) lock.reset();
  };
  const auto done = plan();
  ASSERT_OK(done);
  EXPECT_EQ(done->files_planned, 8U);
  EXPECT_EQ(engine.events.of<RetryEvent>().size(), 2U);
  EXPECT_EQ(run(done->plan)->files_copied, 8U);
  expect_same_trees();
}

} // namespace
} // namespace checkvalve
