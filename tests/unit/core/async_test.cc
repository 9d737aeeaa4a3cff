#include "core/async.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

Task<int> answer() { co_return 42; }

TEST(Loop, RunsATaskAndReturnsItsValue) {
  Loop loop;
  EXPECT_EQ(loop.run(answer()), 42);
  EXPECT_EQ(loop.run(answer()), 42);
}

Task<std::vector<int>> semaphore_order() {
  Semaphore semaphore(2);
  std::vector<int> order;
  TaskGroup group;
  struct Body {
    static Task<void> run(Semaphore& semaphore, std::vector<int>& order, int id, std::uint64_t count) {
      co_await semaphore.acquire(count);
      order.push_back(id);
      co_await Loop::current()->sleep(std::chrono::milliseconds(1));
      semaphore.release(count);
    }
  };
  group.spawn(Body::run(semaphore, order, 1, 1));
  group.spawn(Body::run(semaphore, order, 2, 2)); // waits for both permits
  group.spawn(Body::run(semaphore, order, 3, 1)); // must not overtake
  co_await group.join();
  co_return order;
}

TEST(Semaphore, ServesWaitersInOrder) {
  Loop loop;
  EXPECT_EQ(loop.run(semaphore_order()), (std::vector<int>{1, 2, 3}));
}

Task<int> on_worker(ThreadPool& pool) {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) sum += co_await pool.run([i] { return i; });
  co_return sum;
}

TEST(ThreadPool, ComesBackToTheEngineThread) {
  Loop loop;
  ThreadPool pool(2);
  EXPECT_EQ(loop.run(on_worker(pool)), 499'500);
}

Task<int> started_then_awaited(ThreadPool& pool) {
  auto first = spawn(on_worker(pool));
  auto second = spawn(on_worker(pool));
  co_return co_await first.get() + co_await second.get();
}

TEST(JoinHandle, RunsAtOnceAndKeepsItsValue) {
  Loop loop;
  ThreadPool pool(2);
  EXPECT_EQ(loop.run(started_then_awaited(pool)), 999'000);
}

} // namespace
} // namespace checkvalve
