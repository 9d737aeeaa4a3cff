// What the runtime asserts in builds without NDEBUG: the lock order, and that nothing ends while it is used.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "core/async.h"

#ifndef NDEBUG

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

// Runs a task by hand up to its first suspension; it can then be destroyed.
void start_by_hand(Task<bool>& task) { task.await_suspend(std::noop_coroutine()).resume(); }

template <class T> Task<bool> wait_for(T& thing) { co_return !!co_await thing.wait(); }
template <> Task<bool> wait_for(Semaphore& thing) { co_return !!co_await thing.acquire(9); }

template <class T, class... Arguments> Task<void> end_while_waited_for(Arguments... arguments) {
  std::optional<T> thing;
  thing.emplace(arguments...);
  Task<bool> waiting = wait_for(*thing);
  start_by_hand(waiting);
  thing.reset();
  co_return;
}

Task<void> end_before_its_permit() {
  std::optional<Semaphore> semaphore;
  semaphore.emplace(1U);
  const auto permit = co_await semaphore->acquire();
  semaphore.reset();
}

Task<void> sleep_an_hour() { co_await Loop::current()->sleep(std::chrono::hours(1)); }

Task<void> end_before_its_tasks() {
  TaskGroup group;
  group.spawn(sleep_an_hour());
  co_return;
}

struct Locks {
  Semaphore admission{2, LockRank::admission};
  Semaphore handles{2, LockRank::handle};
  Semaphore requests{2, LockRank::request};
  Semaphore unordered{2};
};

Task<void> take(Semaphore& first, Semaphore& second) {
  const auto outer = co_await first.acquire();
  co_await Loop::current()->sleep(milliseconds(0)); // the record stays with the chain
  const auto inner = co_await second.acquire();
  EXPECT_TRUE(inner);
}

Task<void> take_in_child(Semaphore& first, Semaphore& second) {
  const auto outer = co_await first.acquire();
  TaskGroup group;
  group.spawn([](Semaphore& on) -> Task<void> {
    co_await Loop::current()->sleep(milliseconds(0));
    (void)co_await on.acquire();
  }(second));
  co_await group.join();
}

Task<void> take_in_adopter(Semaphore& first, Semaphore& second) {
  auto outer = co_await first.acquire();
  TaskGroup group;
  group.spawn([](Semaphore::Permit mine, Semaphore& on) -> Task<void> {
    mine.adopt();
    (void)co_await on.acquire();
  }(std::move(outer), second));
  co_await group.join();
}

Task<void> take_after_moving_on(Semaphore& first, Semaphore& second) {
  auto outer = co_await first.acquire();
  const auto elsewhere = std::move(outer);
  (void)co_await second.acquire();
}

Task<void> take_in_detached(Semaphore& first, Semaphore& second) {
  const auto outer = co_await first.acquire();
  OneShotEvent done;
  detach([](Semaphore& on, OneShotEvent& at_end) -> Task<void> {
    (void)co_await on.acquire();
    at_end.set();
  }(second, done));
  co_await done;
}

TEST(LockOrderDeathTest, APermitOfAnEarlierOrTheSameRankIsNotWaitedFor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  using Way = Task<void> (*)(Semaphore&, Semaphore&);
  const struct {
    std::string_view name;
    Way way;
    Semaphore Locks::* first;
    Semaphore Locks::* second;
    bool allowed;
  } cases[] = {
      {"later", take, &Locks::admission, &Locks::handles, true},
      {"much later", take, &Locks::admission, &Locks::requests, true},
      {"earlier", take, &Locks::handles, &Locks::admission, false},
      {"the same rank", take, &Locks::handles, &Locks::handles, false},
      {"without a rank, outside", take, &Locks::unordered, &Locks::admission, true},
      {"without a rank, inside", take, &Locks::requests, &Locks::unordered, true},
      {"later, by a child", take_in_child, &Locks::admission, &Locks::handles, true},
      {"earlier, by a child", take_in_child, &Locks::handles, &Locks::admission, false},
      {"later, by who was given the first", take_in_adopter, &Locks::admission, &Locks::handles, true},
      {"earlier, by who was given the first", take_in_adopter, &Locks::handles, &Locks::admission, false},
      {"what was moved away is not held", take_after_moving_on, &Locks::handles, &Locks::admission, true},
      {"nobody waits for a detached one", take_in_detached, &Locks::handles, &Locks::admission, true},
  };
  for (const auto& one : cases) {
    const auto run = [&one] {
      Locks locks;
      Loop loop;
      loop.run(one.way(locks.*one.first, locks.*one.second));
    };
    if (one.allowed)
      run();
    else
      EXPECT_DEATH(run(), "against the lock order") << one.name;
  }
}

TEST(AssertedDeathTest, NothingEndsWhileItIsUsed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Loop loop;
  EXPECT_DEATH(loop.run(end_while_waited_for<OneShotEvent>()), "still waits");
  EXPECT_DEATH(loop.run(end_while_waited_for<AutoResetEvent>()), "still waits");
  EXPECT_DEATH(loop.run(end_while_waited_for<Semaphore>(1U)), "still waits");
  EXPECT_DEATH(loop.run(end_before_its_permit()), "outlives");
  EXPECT_DEATH(loop.run(end_before_its_tasks()), "still run");
}

} // namespace
} // namespace checkvalve

#endif
