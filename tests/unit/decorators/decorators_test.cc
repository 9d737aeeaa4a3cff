#include "decorators/decorators.h"

#include <gtest/gtest.h>

#include "decorators/retry.h"
#include "decorators/throttle.h"
#include "decorators/wrapper.h"
#include "doubles/faults.h"
#include "doubles/memory/memory_store.h"
#include "support/run.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

const Error lost = make_error(ErrorKind::connection, "test", "", "connection lost");
const Error refused = make_error(ErrorKind::permission, "test", "", "permission denied");

// A memory store with one file, seen through the decorators and the faults of a plan.
class DecoratorsTest : public testing::Test {
protected:
  DecoratorsTest() {
    MemoryStore::named(name_)->put_file("file", content_);
    options_.loop = &engine_.loop;
    options_.events = &engine_.events;
    options_.retries = 3;
    options_.backoff = {.initial = milliseconds(1), .max = milliseconds(4)};
  }
  ~DecoratorsTest() override { MemoryStore::forget(name_); }

  Endpoint endpoint() const {
    Endpoint endpoint;
    endpoint.scheme = "memory";
    endpoint.host = name_;
    return endpoint;
  }
  std::unique_ptr<Source> source() {
    return with_decorators(with_faults(std::move(*make_source(engine_.context, endpoint())), plan_),
                           {"memory://test/", ErrorCode::source_root_missing}, options_);
  }
  std::unique_ptr<Target> target() {
    return with_decorators(with_faults(std::move(*make_target(engine_.context, endpoint())), plan_),
                           {"memory://test/", ErrorCode::target_root_missing}, options_);
  }
  std::vector<RetryEvent> retries() const { return engine_.events.of<RetryEvent>(); }

  testing_support::TestEngine engine_;
  DecoratorOptions options_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::string name_ = "decorators-" + random_plan_id();
  std::string content_ = std::string(10'000, 'x');
  TemporaryName temporary_{random_plan_id(), 1, random_nonce(), 1};
};

Task<Result<std::string>> read_all(Source& source, std::string path) {
  CV_CO_TRY(Entry entry, co_await source.stat(std::move(path), true));
  CV_CO_TRY(auto reader, co_await source.open(entry));
  CV_CO_TRY(Chunk chunk, co_await reader->read(0, 100'000));
  co_return std::string(chunk.text());
}

TEST_F(DecoratorsTest, PassesThroughWhatDoesNotFail) {
  auto from = source();
  auto to = target();
  EXPECT_OK(engine_.run(from->connect()));
  const auto content = engine_.run(read_all(*from, "file"));
  ASSERT_OK(content);
  EXPECT_EQ(*content, content_);
  EXPECT_OK(engine_.run(to->make_directory("a/b", std::nullopt)));
  EXPECT_TRUE(to->accepts("x").has_value());
  EXPECT_TRUE(to->capabilities().directories);
  EXPECT_TRUE(retries().empty());
}

// Lets what is stalled end, in a turn of the loop.
Task<void> release(FaultPlan& plan) {
  plan.release();
  co_await Loop::current()->sleep(milliseconds(0));
}

// --- retry ----------------------------------------------------------------------------------------------------------

TEST_F(DecoratorsTest, RepeatsACallThatFailsForAWhile) {
  plan_->fail(Operation::stat, 1, lost, 2);
  plan_->fail(Operation::open, 1, lost, 3);
  auto from = source();
  EXPECT_OK(engine_.run(read_all(*from, "file")));
  EXPECT_EQ(plan_->calls(Operation::stat), 3U);
  EXPECT_EQ(plan_->calls(Operation::open), 4U);
  ASSERT_EQ(retries().size(), 5U);
  EXPECT_EQ(retries()[0].path, "file");
  EXPECT_EQ(retries()[0].attempt, 2U);
  EXPECT_EQ(retries()[1].attempt, 3U);
  EXPECT_EQ(retries()[0].error.kind, ErrorKind::connection);
}

TEST_F(DecoratorsTest, RepeatsTheFirstConnectionToo) {
  plan_->fail(Operation::connect, 1, lost, 2);
  EXPECT_OK(engine_.run(source()->connect()));
  EXPECT_EQ(plan_->calls(Operation::connect), 3U);
  EXPECT_EQ(retries().size(), 2U);
}

TEST_F(DecoratorsTest, DoesNotRepeatALoginThatWasRefused) {
  plan_->fail(Operation::connect, 1, refused, 100);
  EXPECT_FAILS(engine_.run(target()->connect()), ErrorKind::permission);
  EXPECT_EQ(plan_->calls(Operation::connect), 1U);
}

TEST_F(DecoratorsTest, GivesUpWithAnExhaustedError) {
  plan_->fail(Operation::stat, 1, lost, 100);
  auto from = source();
  const auto entry = engine_.run(from->stat("file", true));
  ASSERT_FALSE(entry.has_value());
  EXPECT_EQ(entry.error().kind, ErrorKind::connection);
  EXPECT_EQ(entry.error().status, ErrorStatus::exhausted);
  EXPECT_EQ(plan_->calls(Operation::stat), 4U); // the first and three retries
}

TEST_F(DecoratorsTest, DoesNotRepeatWhatFailsForGood) {
  plan_->fail(Operation::open, 1, refused, 100);
  auto from = source();
  EXPECT_FAILS(engine_.run(read_all(*from, "file")), ErrorKind::permission);
  EXPECT_EQ(plan_->calls(Operation::open), 1U);
  EXPECT_TRUE(retries().empty());
}

TEST_F(DecoratorsTest, DoesNotRepeatReads) {
  plan_->fail(Operation::read, 1, lost);
  auto from = source();
  EXPECT_FAILS(engine_.run(read_all(*from, "file")), ErrorKind::connection);
  EXPECT_EQ(plan_->calls(Operation::read), 1U);
}

TEST_F(DecoratorsTest, RepeatsTheCallsOfATarget) {
  auto to = target();
  plan_->fail(Operation::make_directory, 1, lost);
  EXPECT_OK(engine_.run(to->make_directory("d", std::nullopt)));
  plan_->lose_answer(Operation::begin, 1, lost); // begun twice under one temporary name: the second takes its place
  EXPECT_OK(engine_.run(to->begin("d/file", {temporary_, 1})));
  EXPECT_EQ(MemoryStore::named(name_)->temporaries().size(), 1U);
  plan_->lose_answer(Operation::discard, 1, lost);
  EXPECT_OK(engine_.run(to->discard("d/file", temporary_)));
  plan_->fail(Operation::server_side_checksum, 1, lost);
  EXPECT_OK(engine_.run(to->server_side_checksum()));
  plan_->fail(Operation::list, 1, lost);
  EXPECT_OK(engine_.run(to->list("", false)));
  EXPECT_EQ(retries().size(), 5U);
}

TEST_F(DecoratorsTest, EndsItsRetriesWhenTheRunIsCancelled) {
  Cancellation cancellation;
  options_.token = cancellation;
  options_.backoff = {.initial = std::chrono::hours(1), .max = std::chrono::hours(1)};
  plan_->fail(Operation::stat, 1, lost, 100);
  auto from = source();
  struct Body {
    static Task<Result<Entry>> run(Source& source, Cancellation& cancellation) {
      auto waiting = spawn(source.stat("file", true));
      cancellation.request(make_error(ErrorKind::interrupted, "cancelled"));
      co_return co_await waiting.get();
    }
  };
  const auto entry = engine_.run(Body::run(*from, cancellation)); // would take half an hour otherwise
  ASSERT_FALSE(entry.has_value());
  EXPECT_EQ(entry.error().status, ErrorStatus::transient);
  EXPECT_EQ(plan_->calls(Operation::stat), 1U);
}

// --- error context ---------------------------------------------------------------------------------------------------

TEST_F(DecoratorsTest, AddsOperationPathAndEndpointThatTheBackendOmitted) {
  options_.retries = 0;
  auto from = source();
  plan_->fail(Operation::stat, 1, make_error(ErrorKind::permission, "denied"));
  Error error = engine_.run(from->stat("a\nb", true)).error();
  EXPECT_EQ(error.text(), "cannot stat 'a\\x0ab': denied");
  EXPECT_EQ(error.endpoint, "memory://test/");
  plan_->fail(Operation::connect, 1, make_error(ErrorKind::auth, "refused"));
  EXPECT_EQ(engine_.run(from->connect()).error().text(), "cannot connect to 'memory://test/': refused");
  plan_->fail(Operation::read, 1, make_error(ErrorKind::io, "broken"));
  EXPECT_EQ(engine_.run(read_all(*from, "file")).error().text(), "cannot read 'file': broken");
  plan_->fail(Operation::stat, 1, make_error(ErrorKind::permission, "look at", "/srv/file", "denied")); // its own
  EXPECT_EQ(engine_.run(from->stat("file", true)).error().text(), "cannot look at '/srv/file': denied");
}

TEST_F(DecoratorsTest, ARetryEventHasTheContext) {
  auto from = source();
  plan_->fail(Operation::open, 1, make_error(ErrorKind::connection, "lost"));
  EXPECT_OK(engine_.run(read_all(*from, "file")));
  ASSERT_EQ(retries().size(), 1U);
  EXPECT_EQ(retries()[0].error.text(), "cannot open 'file': lost");
}

TEST_F(DecoratorsTest, AMissingRootHasACodeOfItsOwn) {
  const Error missing = make_error(ErrorKind::not_found, "does not exist");
  auto from = source();
  auto to = target();
  plan_->fail(Operation::list, 1, missing, 3);
  EXPECT_EQ(engine_.run(from->list("", false)).error().code_word(), "source_root_missing");
  EXPECT_EQ(engine_.run(to->list("", false)).error().code_word(), "target_root_missing");
  EXPECT_EQ(engine_.run(from->list("a", false)).error().code_word(), "not_found");
  plan_->fail(Operation::connect, 1, missing);
  EXPECT_EQ(engine_.run(from->connect()).error().code_word(), "source_root_missing");
}

// --- timeout --------------------------------------------------------------------------------------------------------

TEST_F(DecoratorsTest, EndsACallThatHearsNothing) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(20);
  plan_->stall(Operation::read, 1);
  plan_->stall(Operation::list, 1);
  plan_->stall(Operation::commit, 1);
  auto from = source();
  auto to = target();
  const auto content = engine_.run(read_all(*from, "file"));
  ASSERT_FALSE(content.has_value());
  EXPECT_EQ(content.error().kind, ErrorKind::timeout);
  EXPECT_TRUE(content.error().transient());
  EXPECT_EQ(content.error().path, "file");
  EXPECT_FAILS(engine_.run(from->list("", false)), ErrorKind::timeout);
  struct Body {
    static Task<void> run(Target& to, TemporaryName temporary) {
      CO_ASSERT_VALUE(auto upload, co_await to.begin("new", {temporary, 1}));
      CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(std::string_view("x"))));
      EXPECT_FAILS(co_await upload->commit({.size_bytes = 1}), ErrorKind::timeout);
    }
  };
  engine_.run(Body::run(*to, temporary_));
  engine_.run(release(*plan_));
  EXPECT_OK(engine_.run(read_all(*from, "file")));
}

TEST_F(DecoratorsTest, GivesTheCommitOfALargeFileLonger) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(20);
  plan_->stall(Operation::commit, 1);
  plan_->stall(Operation::list, 1);
  auto to = target();
  struct Body {
    static Task<void> run(Target& to, TemporaryName temporary, FaultPlan& plan) {
      const std::uint64_t said = 16ULL << 30;
      CO_ASSERT_VALUE(auto upload, co_await to.begin("new", {temporary, said}));
      auto committing = spawn(upload->commit({.size_bytes = said}));
      EXPECT_FAILS(co_await to.list("", false), ErrorKind::timeout); // begun later, given up earlier
      plan.release();
      EXPECT_FAILS(co_await committing.get(), ErrorKind::interrupted); // its own answer
    }
  };
  engine_.run(Body::run(*to, temporary_, *plan_));
}

TEST_F(DecoratorsTest, RepeatsACallThatTimedOut) {
  options_.stall_timeout = milliseconds(20);
  plan_->stall(Operation::open, 1);
  auto from = source();
  EXPECT_OK(engine_.run(read_all(*from, "file")));
  EXPECT_EQ(plan_->calls(Operation::open), 2U);
  ASSERT_EQ(retries().size(), 1U);
  EXPECT_EQ(retries()[0].error.kind, ErrorKind::timeout);
  engine_.run(release(*plan_));
}

// An open whose answer comes after its time is up must not keep the file.
class SlowSource : public SourceWrapper {
public:
  SlowSource(std::shared_ptr<Source> inner, OneShotEvent& answer) : SourceWrapper(std::move(inner)), answer_(answer) {}
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    auto reader = co_await inner_->open(std::move(entry));
    co_await answer_;
    co_return reader;
  }

private:
  OneShotEvent& answer_;
};

TEST_F(DecoratorsTest, DropsALateAnswerAndClosesItsFile) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(20);
  OneShotEvent answer;
  auto from = with_decorators(
      std::make_unique<SlowSource>(std::move(*make_source(engine_.context, endpoint())), answer), {}, options_);
  EXPECT_FAILS(engine_.run(read_all(*from, "file")), ErrorKind::timeout);
  const auto store = MemoryStore::named(name_);
  EXPECT_EQ(store->files_open, 1U);
  from.reset(); // the inner call outlives the layer
  struct Body {
    static Task<void> run(OneShotEvent& answer, MemoryStore& store) {
      answer.set();
      for (int turns = 0; turns < 1'000 && store.files_open != 0; ++turns)
        co_await Loop::current()->sleep(milliseconds(1));
    }
  };
  engine_.run(Body::run(answer, *store));
  EXPECT_EQ(store->files_open, 0U);
}

TEST_F(DecoratorsTest, ALateAnswerLeavesOtherCallsTheirLimit) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(20);
  OneShotEvent answer;
  plan_->stall(Operation::stat, 2);
  auto from = with_decorators(
      std::make_unique<SlowSource>(with_faults(std::move(*make_source(engine_.context, endpoint())), plan_), answer),
      {}, options_);
  struct Body {
    static Task<void> run(Source& from, OneShotEvent& answer) {
      CO_ASSERT_VALUE(const Entry entry, co_await from.stat("file", true));
      EXPECT_FAILS(co_await from.open(entry), ErrorKind::timeout);
      auto stalled = spawn(from.stat("file", true));
      answer.set();
      for (int turns = 0; turns < 1'000 && !stalled.ready(); ++turns) co_await Loop::current()->sleep(milliseconds(1));
      EXPECT_TRUE(stalled.ready());
    }
  };
  engine_.run(Body::run(*from, answer));
  engine_.run(release(*plan_));
}

TEST_F(DecoratorsTest, TimesManyCallsEachByItsOwnStart) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(50);
  plan_->stall(Operation::stat, 1);
  plan_->stall(Operation::stat, 3);
  auto from = source();
  struct Body {
    static Task<void> run(Source& from) {
      auto first = spawn(from.stat("file", true));
      auto second = spawn(from.stat("file", true));
      auto third = spawn(from.stat("file", true));
      EXPECT_OK(co_await second.get());
      EXPECT_FAILS(co_await first.get(), ErrorKind::timeout);
      EXPECT_FAILS(co_await third.get(), ErrorKind::timeout);
      EXPECT_OK(co_await from.stat("file", true));
    }
  };
  engine_.run(Body::run(*from));
  engine_.run(release(*plan_));
}

// --- throttle -------------------------------------------------------------------------------------------------------

TEST(TokenBucket, SpreadsBytesOverTimeInTurn) {
  using Clock = TokenBucket::Clock;
  const Clock::time_point start = Clock::now();
  TokenBucket bucket(1'000'000, milliseconds(0));
  EXPECT_EQ(bucket.reserve(500'000, start), milliseconds(500));
  EXPECT_EQ(bucket.reserve(500'000, start), milliseconds(1'000)); // behind the first
  EXPECT_EQ(bucket.reserve(100'000, start + milliseconds(1'000)), milliseconds(100));
  // Idle time is not saved up beyond the burst.
  EXPECT_EQ(bucket.reserve(1'000'000, start + milliseconds(60'000)), milliseconds(1'000));
  TokenBucket with_burst(1'000'000, milliseconds(100));
  EXPECT_EQ(with_burst.reserve(100'000, start + milliseconds(60'000)), milliseconds(0));
  EXPECT_EQ(with_burst.reserve(100'000, start + milliseconds(60'000)), milliseconds(100));
}

TEST_F(DecoratorsTest, ThrottlesContentInBothDirections) {
  options_.bytes_per_second = 50'000; // 10,000 bytes last 200 ms, less the burst of 100 ms
  auto from = source();
  auto to = target();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_OK(engine_.run(read_all(*from, "file")));
  const auto between = std::chrono::steady_clock::now();
  EXPECT_GE(between - before, milliseconds(99));
  struct Body {
    static Task<void> run(Target& to, TemporaryName temporary, std::string content) {
      CO_ASSERT_VALUE(auto upload, co_await to.begin("new", {temporary, content.size()}));
      CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(content)));
      CO_ASSERT_OK(co_await upload->commit({.size_bytes = content.size()}));
    }
  };
  engine_.run(Body::run(*to, temporary_, content_));
  EXPECT_GE(std::chrono::steady_clock::now() - between, milliseconds(99));
}

TEST_F(DecoratorsTest, NobodyWaitsForItsTurnOnceTheRunIsCancelled) {
  options_.bytes_per_second = 1; // 10,000 bytes: hours
  Cancellation cancellation;
  options_.token = cancellation;
  auto from = source();
  struct Body {
    static Task<void> run(Source& from, Cancellation& cancellation) {
      auto reading = spawn(read_all(from, "file"));
      cancellation.request(make_error(ErrorKind::interrupted, "cancelled"));
      EXPECT_OK(co_await reading.get());
    }
  };
  engine_.run(Body::run(*from, cancellation));
}

// A file of one chunk stays one call, and is paid for.
TEST_F(DecoratorsTest, ThrottlesWholeFiles) {
  options_.bytes_per_second = 50'000; // beyond a burst of 5,000 bytes, 5,000 take 100 ms
  auto from = source();
  auto to = target();
  struct Body {
    static Task<void> run(Source& from, Target& to, TemporaryName temporary) {
      CO_ASSERT_VALUE(const Entry entry, co_await from.stat("file", true));
      CO_ASSERT_VALUE(auto reader, co_await from.open(entry));
      const auto began = std::chrono::steady_clock::now();
      CO_ASSERT_VALUE(Reader::Whole whole, co_await reader->read_whole(10'000));
      const auto read = std::chrono::steady_clock::now();
      EXPECT_GE(read - began, milliseconds(90));
      CO_ASSERT_VALUE(auto upload, co_await to.begin("new", {temporary, 10'000}));
      CO_ASSERT_OK(co_await upload->write_and_commit(std::move(whole.content), {.size_bytes = 10'000}));
      EXPECT_GE(std::chrono::steady_clock::now() - read, milliseconds(90));
    }
  };
  engine_.run(Body::run(*from, *to, temporary_));
}

TEST_F(DecoratorsTest, WatchesWholeFiles) {
  options_.retries = 0;
  options_.stall_timeout = milliseconds(20);
  plan_->stall(Operation::read, 1);
  plan_->stall(Operation::commit, 1);
  auto from = source();
  auto to = target();
  struct Body {
    static Task<void> run(Source& from, Target& to, TemporaryName temporary) {
      CO_ASSERT_VALUE(const Entry entry, co_await from.stat("file", true));
      CO_ASSERT_VALUE(auto reader, co_await from.open(entry));
      EXPECT_FAILS(co_await reader->read_whole(10'000), ErrorKind::timeout);
      CO_ASSERT_VALUE(auto upload, co_await to.begin("new", {temporary, 1}));
      EXPECT_FAILS(co_await upload->write_and_commit(Chunk::copy_of(std::string_view("x")), {.size_bytes = 1}),
                   ErrorKind::timeout);
    }
  };
  engine_.run(Body::run(*from, *to, temporary_));
  engine_.run(release(*plan_));
}

TEST_F(DecoratorsTest, WaitingForItsTurnIsNoStall) {
  options_.bytes_per_second = 50'000;
  options_.stall_timeout = milliseconds(20);
  auto from = source();
  EXPECT_OK(engine_.run(read_all(*from, "file")));
}

// --- faults ---------------------------------------------------------------------------------------------------------

TEST_F(DecoratorsTest, ADroppedConnectionLosesOpenFilesAndNothingElse) {
  options_.retries = 0;
  auto from = source();
  struct Body {
    static Task<void> run(Source& from, FaultPlan& plan) {
      CO_ASSERT_VALUE(const Entry entry, co_await from.stat("file", true));
      CO_ASSERT_VALUE(auto reader, co_await from.open(entry));
      CO_ASSERT_VALUE(auto listing, co_await from.list("", false));
      plan.drop_connection(Operation::stat, 1);
      auto under_way = spawn(reader->read(0, 10));
      EXPECT_FAILS(co_await from.stat("file", true), ErrorKind::connection);
      EXPECT_FAILS(co_await under_way.get(), ErrorKind::connection);
      EXPECT_FAILS(co_await reader->read(0, 10), ErrorKind::connection);
      EXPECT_FAILS(co_await listing->next(), ErrorKind::connection);
      EXPECT_OK(co_await from.stat("file", true));
      EXPECT_OK(co_await read_all(from, "file"));
    }
  };
  engine_.run(Body::run(*from, *plan_));
}

TEST_F(DecoratorsTest, ALostAnswerLeavesItsEffect) {
  options_.retries = 0;
  auto to = target();
  plan_->lose_answer(Operation::make_directory, 1, lost);
  EXPECT_FAILS(engine_.run(to->make_directory("made", std::nullopt)), ErrorKind::connection);
  EXPECT_OK(engine_.run(to->stat("made", false)));
}

} // namespace
} // namespace checkvalve
