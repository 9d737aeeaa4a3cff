#include "core/async.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds for_ever = std::chrono::hours(1);

Error cancelled_by_test() { return make_error(ErrorKind::interrupted, "cancelled by the test"); }

// --- Task and Loop --------------------------------------------------------------------------------------------------

Task<int> answer() { co_return 42; }

Task<int> fails() {
  co_await Loop::current()->sleep(milliseconds(0));
  throw std::runtime_error("no answer");
}

Task<int> passes_on() { co_return co_await fails() + 1; }

TEST(Loop, RunsTasksOneAfterTheOther) {
  Loop loop;
  EXPECT_EQ(loop.run(answer()), 42);
  EXPECT_EQ(loop.run(answer()), 42);
}

TEST(Loop, AnExceptionComesOutOfRun) {
  Loop loop;
  EXPECT_THROW(loop.run(passes_on()), std::runtime_error);
  EXPECT_EQ(loop.run(answer()), 42);
}

Task<void> sleep_and_note(milliseconds duration, int id, std::vector<int>& order) {
  co_await Loop::current()->sleep(duration);
  order.push_back(id);
}

Task<std::vector<int>> sleep_in_parallel(std::vector<int> durations_ms) {
  std::vector<int> order;
  TaskGroup group;
  for (std::size_t i = 0; i < durations_ms.size(); ++i)
    group.spawn(sleep_and_note(milliseconds(durations_ms[i]), static_cast<int>(i), order));
  co_await group.join();
  co_return order;
}

TEST(Loop, SleepersWakeByDeadlineAndInOrderOfArrival) {
  Loop loop;
  EXPECT_EQ(loop.run(sleep_in_parallel({30, 10, 0, 20, 10, 0})), (std::vector<int>{2, 5, 1, 4, 3, 0}));
}

Task<std::uint64_t> posted_from_threads(Loop& loop, unsigned threads, unsigned posts) {
  std::uint64_t count = 0; // engine thread only
  OneShotEvent all;
  std::vector<std::thread> others;
  for (unsigned i = 0; i < threads; ++i)
    others.emplace_back([&] {
      for (unsigned n = 0; n < posts; ++n)
        loop.post([&] {
          if (++count == std::uint64_t{threads} * posts) all.set();
        });
    });
  co_await all;
  for (auto& other : others) other.join();
  co_return count;
}

TEST(Loop, RunsOnTheEngineThreadWhatOtherThreadsPost) {
  Loop loop;
  EXPECT_EQ(loop.run(posted_from_threads(loop, 4, 1'000)), 4'000U);
}

Task<int> sum_on_workers(ThreadPool& pool) {
  int sum = 0;
  for (int i = 0; i < 1'000; ++i) sum += co_await pool.run([i] { return i; });
  co_return sum;
}

Task<int> sums_in_parallel(ThreadPool& pool) {
  auto first = spawn(sum_on_workers(pool));
  auto second = spawn(sum_on_workers(pool));
  co_return co_await first.get() + co_await second.get();
}

TEST(ThreadPool, ComesBackToTheEngineThread) {
  Loop loop;
  ThreadPool pool(2);
  EXPECT_EQ(loop.run(sums_in_parallel(pool)), 999'000);
}

// --- waits: with what they can be made to wait, and how each may end
// ----------------------------------------------------

enum class Kind : std::uint8_t { sleep, timer, one_shot, auto_reset, semaphore };
constexpr Kind all_kinds[] = {Kind::sleep, Kind::timer, Kind::one_shot, Kind::auto_reset, Kind::semaphore};

std::string name_of(Kind kind) {
  constexpr std::string_view names[] = {"sleep", "timer", "one-shot event", "auto-reset event", "semaphore"};
  return std::string(names[static_cast<std::size_t>(kind)]);
}

// One of each; the semaphore has no permit.
struct Things {
  explicit Things(Loop& its_loop) : loop(its_loop), timer(its_loop) {}
  Loop& loop;
  Cancellation cancellation;
  Timer timer;
  OneShotEvent one_shot;
  AutoResetEvent auto_reset;
  Semaphore semaphore{0};

  Task<bool> wait(Kind kind, CancellationToken token) {
    switch (kind) {
    case Kind::sleep: co_return co_await loop.sleep(for_ever, token);
    case Kind::timer: co_return co_await timer.wait(for_ever, token);
    case Kind::one_shot: co_return co_await one_shot.wait(token);
    case Kind::auto_reset: co_return co_await auto_reset.wait(token);
    case Kind::semaphore: {
      const auto permit = co_await semaphore.acquire(1, token);
      co_return static_cast<bool>(permit);
    }
    }
    co_return false;
  }
  // Makes what is waited for happen; false where only time can.
  bool happen(Kind kind) {
    switch (kind) {
    case Kind::sleep: return false;
    case Kind::timer: timer.cancel(); break;
    case Kind::one_shot: one_shot.set(); break;
    case Kind::auto_reset: auto_reset.notify(); break;
    case Kind::semaphore: semaphore.add(1); break;
    }
    return true;
  }
};

Task<bool> completed(Things& things, Kind kind) {
  auto waiting = spawn(things.wait(kind, things.cancellation));
  EXPECT_FALSE(waiting.ready()) << name_of(kind);
  things.happen(kind);
  EXPECT_FALSE(waiting.ready()) << name_of(kind) << ": resumed on the stack of whoever woke it";
  co_return co_await waiting.get();
}

Task<bool> cancelled_while_waiting(Things& things, Kind kind) {
  auto waiting = spawn(things.wait(kind, things.cancellation));
  things.cancellation.request(cancelled_by_test());
  const bool got = co_await waiting.get();
  things.happen(kind); // for nobody
  co_return got;
}

Task<bool> cancelled_before(Things& things, Kind kind) {
  things.cancellation.request(cancelled_by_test());
  auto waiting = spawn(things.wait(kind, things.cancellation));
  EXPECT_TRUE(waiting.ready()) << name_of(kind);
  co_return co_await waiting.get();
}

Task<bool> there_before_the_cancellation(Things& things, Kind kind) {
  things.happen(kind);
  things.cancellation.request(cancelled_by_test());
  co_return co_await things.wait(kind, things.cancellation);
}

Task<bool> woken_then_cancelled(Things& things, Kind kind) {
  auto waiting = spawn(things.wait(kind, things.cancellation));
  things.happen(kind);
  things.cancellation.request(cancelled_by_test());
  co_return co_await waiting.get();
}

TEST(Wait, EndsByWhatItWaitsForOrByTheCancellation) {
  const struct {
    std::string_view name;
    Task<bool> (*run)(Things&, Kind);
    bool sleeps, timer, events; // the outcome
    bool needs_happening;
  } cases[] = {
      {"completed", completed, true, true, true, true},
      {"cancelled while waiting", cancelled_while_waiting, false, false, false, false},
      {"cancelled before", cancelled_before, false, false, false, false},
      {"there before the cancellation", there_before_the_cancellation, false, false, true, false},
      {"woken, then cancelled", woken_then_cancelled, true, true, true, true},
  };
  for (const auto& one : cases)
    for (const Kind kind : all_kinds) {
      if (kind == Kind::sleep && one.needs_happening) continue;
      Loop loop;
      Things things(loop);
      const bool expected = kind == Kind::sleep ? one.sleeps : kind == Kind::timer ? one.timer : one.events;
      EXPECT_EQ(loop.run(one.run(things, kind)), expected) << name_of(kind) << ", " << one.name;
    }
}

TEST(Wait, ADefaultTokenIsNeverCancelled) {
  EXPECT_FALSE(CancellationToken().requested());
  Loop loop;
  EXPECT_TRUE(loop.run([](Loop& on) -> Task<bool> { co_return co_await on.sleep(milliseconds(1), {}); }(loop)));
}

TEST(Cancellation, TheFirstReasonStays) {
  Cancellation cancellation;
  const CancellationToken token = cancellation;
  cancellation.request(cancelled_by_test());
  cancellation.request(make_error(ErrorKind::io, "later"));
  EXPECT_TRUE(token.requested());
  EXPECT_EQ(token.reason().kind, ErrorKind::interrupted);
}

// Runs a task by hand up to its first suspension; it can then be destroyed.
void start_by_hand(Task<bool>& task) { task.await_suspend(std::noop_coroutine()).resume(); }

// A wait that was destroyed must leave no trace: the next one is served as if it had never been.
Task<bool> destroyed(Things& things, Kind kind, bool woken_first) {
  {
    Task<bool> abandoned = things.wait(kind, things.cancellation);
    start_by_hand(abandoned);
    if (woken_first) things.happen(kind);
  }
  auto next = spawn(things.wait(kind, things.cancellation));
  if (!woken_first || kind == Kind::timer) things.happen(kind);
  co_await things.loop.sleep(milliseconds(0));
  if (kind == Kind::sleep) things.cancellation.request(cancelled_by_test());
  co_return co_await next.get();
}

TEST(Wait, DestroyingAWaitingCoroutineEndsItsWait) {
  for (const bool woken_first : {false, true})
    for (const Kind kind : all_kinds) {
      Loop loop;
      Things things(loop);
      EXPECT_EQ(loop.run(destroyed(things, kind, woken_first)), kind != Kind::sleep)
          << name_of(kind) << (woken_first ? ", woken already" : "");
    }
}

// --- events
// -------------------------------------------------------------------------------------------------------------

Task<int> waiters_woken(int waiters) {
  OneShotEvent event;
  std::vector<JoinHandle<bool>> waiting;
  const auto wait = [](OneShotEvent& on) -> Task<bool> { co_return co_await on; };
  for (int i = 0; i < waiters; ++i) waiting.push_back(spawn(wait(event)));
  event.set();
  event.set();
  int woken = 0;
  for (auto& one : waiting) woken += co_await one.get() ? 1 : 0;
  co_return woken;
}

TEST(OneShotEvent, WakesAllWaitersOnce) {
  Loop loop;
  for (const int waiters : {0, 1, 2, 100}) EXPECT_EQ(loop.run(waiters_woken(waiters)), waiters);
}

Task<int> notifications_seen(int notifications) {
  AutoResetEvent event;
  for (int i = 0; i < notifications; ++i) event.notify();
  Cancellation soon;
  int seen = 0;
  if (notifications > 0) seen += co_await event.wait() ? 1 : 0;
  soon.request(cancelled_by_test());
  seen += co_await event.wait(soon) ? 1 : 0;
  co_return seen;
}

TEST(AutoResetEvent, KeepsOneNotification) {
  Loop loop;
  EXPECT_EQ(loop.run(notifications_seen(0)), 0);
  EXPECT_EQ(loop.run(notifications_seen(1)), 1);
  EXPECT_EQ(loop.run(notifications_seen(3)), 1);
}

Task<void> cut_short_then_wait(Loop& loop) {
  Timer timer(loop);
  timer.cancel(); // nothing waits: the next wait is not touched
  auto waiting = spawn([](Timer& on) -> Task<bool> { co_return co_await on.wait(for_ever); }(timer));
  timer.cancel();
  timer.cancel();
  EXPECT_TRUE(co_await waiting.get());
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(co_await timer.wait(milliseconds(5)));
  EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(5));
}

TEST(Timer, CancelEndsThePresentWaitOnly) {
  Loop loop;
  loop.run(cut_short_then_wait(loop));
}

// --- Semaphore
// ------------------------------------------------------------------------------------------------------------

Task<void> hold(Semaphore& semaphore, std::uint64_t count, CancellationToken token, int id, std::vector<int>& order) {
  const auto permit = co_await semaphore.acquire(count, token);
  if (!permit) co_return;
  order.push_back(id);
  co_await Loop::current()->sleep(milliseconds(1));
}

Task<std::vector<int>> served(std::uint64_t permits, std::vector<std::uint64_t> counts, int cancel) {
  Semaphore semaphore(permits);
  Cancellation cancellation;
  std::vector<int> order;
  TaskGroup group;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const int id = static_cast<int>(i);
    group.spawn(hold(semaphore, counts[i], id == cancel ? cancellation.token() : CancellationToken(), id, order));
  }
  cancellation.request(cancelled_by_test());
  if (cancel >= 0) {
    co_await Loop::current()->sleep(milliseconds(0));
  }
  co_await group.join();
  EXPECT_EQ(semaphore.available(), permits);
  co_return order;
}

TEST(Semaphore, ServesWaitersInOrderOfArrival) {
  const struct {
    std::string_view name;
    std::uint64_t permits;
    std::vector<std::uint64_t> counts;
    int cancel;
    std::vector<int> order;
  } cases[] = {
      {"enough for all", 3, {1, 1, 1}, -1, {0, 1, 2}},
      {"one after the other", 1, {1, 1, 1}, -1, {0, 1, 2}},
      {"a large request is not overtaken", 2, {1, 2, 1}, -1, {0, 1, 2}},
      {"a cancelled large request lets those behind it through", 2, {1, 2, 1}, 1, {0, 2}},
      {"a cancelled small request", 1, {1, 1, 1}, 1, {0, 2}},
  };
  for (const auto& one : cases) {
    Loop loop;
    EXPECT_EQ(loop.run(served(one.permits, one.counts, one.cancel)), one.order) << one.name;
  }
}

Task<Semaphore::Permit> taken(Semaphore& semaphore) {
  auto permit = co_await semaphore.acquire(2);
  co_return permit; // it outlives the coroutine that took it
}

Task<void> move_permits(Semaphore& semaphore) {
  Semaphore::Permit kept;
  EXPECT_FALSE(kept);
  kept = co_await taken(semaphore);
  EXPECT_EQ(kept.count(), 2U);
  EXPECT_EQ(semaphore.available(), 1U);
  Semaphore::Permit moved = std::move(kept);
  EXPECT_FALSE(kept); // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(semaphore.available(), 1U);
  moved = co_await semaphore.acquire(1); // gives the old ones back
  EXPECT_EQ(semaphore.available(), 2U);
  moved.release();
  moved.release();
  EXPECT_EQ(semaphore.available(), 3U);
  semaphore.add(2);
  EXPECT_EQ(semaphore.available(), 5U);
}

TEST(Semaphore, APermitIsGivenBackOnceWhereverItEnds) {
  Loop loop;
  Semaphore semaphore(3);
  loop.run(move_permits(semaphore));
  EXPECT_EQ(semaphore.available(), 5U);
}

Task<void> destroy_the_first_of_two(Semaphore& semaphore) {
  auto all = co_await semaphore.acquire(1);
  std::vector<int> order;
  TaskGroup group;
  {
    Task<bool> large = [](Semaphore& on) -> Task<bool> { co_return !!co_await on.acquire(5); }(semaphore);
    start_by_hand(large);
    group.spawn(hold(semaphore, 1, {}, 1, order));
    all.release();
    EXPECT_TRUE(order.empty()) << "overtook the large request";
  }
  co_await group.join();
  EXPECT_EQ(order, std::vector<int>{1});
}

TEST(Semaphore, DestroyingALargeRequestLetsThoseBehindItThrough) {
  Loop loop;
  Semaphore semaphore(1);
  loop.run(destroy_the_first_of_two(semaphore));
}

// --- TaskGroup and JoinHandle
// ---------------------------------------------------------------------------------------------

Task<std::size_t> join_twice() {
  TaskGroup group;
  std::vector<int> order;
  co_await group.join(); // nothing runs
  group.spawn(sleep_and_note(milliseconds(2), 1, order));
  group.spawn(sleep_and_note(milliseconds(1), 2, order));
  EXPECT_EQ(group.running(), 2U);
  co_await group.join();
  EXPECT_EQ(order.size(), 2U);
  group.spawn(sleep_and_note(milliseconds(0), 3, order));
  co_await group.join();
  co_return order.size();
}

TEST(TaskGroup, JoinWaitsForAllAndCanBeRepeated) {
  Loop loop;
  EXPECT_EQ(loop.run(join_twice()), 3U);
}

Task<int> set_when_done(milliseconds after, OneShotEvent& done) {
  co_await Loop::current()->sleep(after);
  done.set();
  co_return 7;
}

Task<void> drop_a_handle() {
  OneShotEvent done;
  {
    (void)spawn(set_when_done(milliseconds(1), done));
  }
  co_await done;
}

TEST(JoinHandle, ADroppedOneRunsToItsEnd) {
  Loop loop;
  loop.run(drop_a_handle());
}

Task<int> ready_before_get() {
  OneShotEvent done;
  auto handle = spawn(set_when_done(milliseconds(0), done));
  co_await done;
  EXPECT_TRUE(handle.ready());
  co_return co_await handle.get();
}

TEST(JoinHandle, GivesItsValueLater) {
  Loop loop;
  EXPECT_EQ(loop.run(ready_before_get()), 7);
}

// --- what the loop owns
// --------------------------------------------------------------------------------------------------------------------

struct Trace {
  std::vector<int>& ended;
  const int id;
  ~Trace() { ended.push_back(id); }
};

Task<void> wait_for_ever(std::vector<int>& ended, int id, bool in_group) {
  const Trace trace{ended, id};
  TaskGroup group;
  if (in_group) group.spawn(wait_for_ever(ended, id + 1, false));
  co_await Loop::current()->sleep(for_ever);
}

Task<int> spawn_for_ever(std::vector<int>& ended) {
  detach(wait_for_ever(ended, 1, false));
  (void)spawn([](std::vector<int>& by) -> Task<int> {
    co_await wait_for_ever(by, 2, true);
    co_return 0;
  }(ended));
  detach([](std::vector<int>& by) -> Task<void> {
    by.push_back(0);
    co_return;
  }(ended));
  co_return static_cast<int>(ended.size());
}

TEST(Loop, DestroysWhatHasNotEndedTheNewestFirst) {
  std::vector<int> ended;
  {
    Loop loop;
    EXPECT_EQ(loop.run(spawn_for_ever(ended)), 1);
  }
  EXPECT_EQ(ended, (std::vector<int>{0, 3, 2, 1}));
}

} // namespace
} // namespace checkvalve
