// Several processes on one state, as workers on a machine are.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "suite.h"

namespace checkvalve::test {
namespace {

constexpr std::uint32_t batches = 8;
constexpr std::uint64_t files_in_batch = 20;

struct Pipe {
  int connections[2] = {-1, -1};
  Pipe() { EXPECT_EQ(::pipe(connections), 0); }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int end) {
    if (connections[end] >= 0) ::close(connections[end]);
    connections[end] = -1;
  }
};

// What a worker process does; its exit code says what went wrong. Writes "batch generation nonce" of each lease.
int work(StateFixture& fixture, int start, int report) {
  auto store = fixture.open();
  if (!store) return 10;
  char byte = 0;
  if (::read(start, &byte, 1) < 0) return 11; // returns when the parent closes its end: all begin at once
  const std::string me = std::to_string(::getpid());
  for (std::uint32_t batch = 1; batch <= batches; ++batch) {
    const auto answer = awaited((*store)->leases.take("p", batch, me, long_ttl));
    if (!answer) return 12;
    if (!answer->lease) continue;
    const std::string line = std::to_string(batch) + " " + me + "\n";
    if (::write(report, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 13;
    const auto files = awaited((*store)->plans.open_files("p", batch, 0, 1000));
    if (!files || files->size() != files_in_batch) return 14;
    for (const PlannedFile& file : *files)
      if (!awaited((*store)->leases.checkpoint(*answer->lease, std::vector{outcome(file.number, FileState::committed)},
                                               HistoryScope{pair, ""})))
        return 15;
    if (!awaited((*store)->leases.release(*answer->lease))) return 16;
  }
  return 0;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

TEST_P(StateStoreSuite, ProcessesThatRaceForLeasesEachWorkAlone) {
  make_plan("p", batches, files_in_batch);
  store_.reset(); // no connection crosses the fork
  Pipe start;
  Pipe report;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      start.close_end(1);
      ::_exit(work(*fixture_, start.connections[0], report.connections[1]));
    }
    children.push_back(child);
  }
  start.close_end(1);
  report.close_end(1);
  const std::string lines = read_all(report.connections[0]);
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  }

  store_ = open();
  ASSERT_TRUE(store_);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), batches) << lines;
  const auto ended = awaited(store_->plans.batches("p"));
  ASSERT_TRUE(ok(ended));
  for (const BatchRecord& batch : *ended) {
    EXPECT_EQ(batch.state, BatchState::done) << batch.number;
    EXPECT_EQ(batch.generation, 1U) << batch.number;
    EXPECT_EQ(batch.files_done, files_in_batch) << batch.number;
    EXPECT_EQ(batch.bytes_done, 10 * files_in_batch) << batch.number;
  }
  EXPECT_EQ(awaited(store_->plans.find("p"))->state, PlanState::done);
  EXPECT_EQ(awaited(store_->history.page(pair, "", 10'000))->size(), batches * files_in_batch);
}

// Every worker tries to take the same short-lived lease over and over and records under it: each file's outcome must
// come from a lease that was the newest at that moment, so the counts never exceed the files.
int fight(StateFixture& fixture, int start) {
  auto store = fixture.open();
  if (!store) return 10;
  char byte = 0;
  if (::read(start, &byte, 1) < 0) return 11;
  for (int round = 0; round < 30; ++round) {
    const auto answer =
        awaited((*store)->leases.take("p", 1, "w", no_ttl)); // expires at once: the next one takes it over
    if (!answer) return 12;
    if (!answer->lease) continue;
    for (std::uint64_t number = 1; number <= 3; ++number) {
      const auto done =
          awaited((*store)->leases.checkpoint(*answer->lease, std::vector{outcome(number, FileState::failed)}, {}));
      if (!done && done.error().kind != ErrorKind::lease) return 13;
      if (!done) break;
    }
  }
  return 0;
}

TEST_P(StateStoreSuite, ProcessesThatTakeOverFromEachOtherKeepTheCountsRight) {
  make_plan("p", 1, 3);
  store_.reset();
  Pipe start;
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      start.close_end(1);
      ::_exit(fight(*fixture_, start.connections[0]));
    }
    children.push_back(child);
  }
  start.close_end(1);
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  }
  store_ = open();
  ASSERT_TRUE(store_);
  const auto ended = awaited(store_->plans.batches("p"));
  ASSERT_TRUE(ok(ended));
  EXPECT_EQ(ended->at(0).generation, 90U); // each take rose it by one, none was lost or given twice
  EXPECT_EQ(ended->at(0).files_failed, awaited(store_->plans.failures("p", 0, 100))->size());
  EXPECT_LE(ended->at(0).files_failed, 3U);
}

// A state that does not exist yet is made once, whoever comes first.
TEST_P(StateStoreSuite, ProcessesThatOpenAFreshStateAtOnceAllSucceed) {
  store_.reset();
  const auto fresh = GetParam().make();
  ASSERT_TRUE(fresh);
  Pipe start;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      start.close_end(1);
      char byte = 0;
      if (::read(start.connections[0], &byte, 1) < 0) ::_exit(11);
      const auto store = fresh->open();
      if (!store) ::_exit(12);
      ::_exit(awaited((*store)->plans.create(plan_record("p" + std::to_string(i)))) ? 0 : 13);
    }
    children.push_back(child);
  }
  start.close_end(1);
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  }
  const auto store = fresh->open();
  ASSERT_TRUE(ok(store));
  EXPECT_EQ(awaited((*store)->plans.newest(100))->size(), 6U);
}

} // namespace
} // namespace checkvalve::test
