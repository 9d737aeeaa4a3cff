// Running coroutines in tests: an engine thread, workers, a sink that remembers, and assertions for use in coroutines
// (GTest's ASSERT_ macros return, which a coroutine can't).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backends/registry.h"
#include "core/async.h"
#include "core/event.h"
#include "core/loop.h"
#include "core/result.h"

namespace checkvalve {

// So that GTest prints errors as text.
inline void PrintTo(const Error& error, std::ostream* out) {
  *out << to_string(error.kind) << "/" << to_string(error.status) << ": " << error.text();
}

namespace testing_support {

class RecordingSink : public EventSink {
public:
  void emit(const EngineEvent& event) override {
    events.push_back(event);
    if (on_event) on_event(event);
  }
  // All events of one type, in order.
  template <class T> std::vector<T> of() const {
    std::vector<T> out;
    for (const auto& event : events)
      if (const T* found = std::get_if<T>(&event)) out.push_back(*found);
    return out;
  }
  std::vector<EngineEvent> events;
  std::function<void(const EngineEvent&)> on_event; // for what is to happen in the middle
};

// One engine for one test. Whatever coroutines use (backends, readers) must be dropped before it.
struct TestEngine {
  Loop loop;
  RecordingSink events;
  ThreadPool workers{2};
  BackendContext context{loop, workers, events, std::chrono::milliseconds(20'000), std::chrono::milliseconds(10'000)};

  template <class T> T run(Task<T> task) { return loop.run(std::move(task)); }
  void run(Task<void> task) { loop.run(std::move(task)); }
};

template <class T>::testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error().kind) << "/" << to_string(result.error().status)
                                       << ": " << result.error().text();
}

template <class T>::testing::AssertionResult failed_with(const Result<T>& result, ErrorKind kind) {
  if (result) return ::testing::AssertionFailure() << "succeeded, but " << to_string(kind) << " was expected";
  if (result.error().kind == kind) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "expected " << to_string(kind) << ", got " << to_string(result.error().kind)
                                       << ": " << result.error().text();
}

template <class T>
::testing::AssertionResult failed_with_one_of(const Result<T>& result, std::initializer_list<ErrorKind> kinds) {
  for (ErrorKind kind : kinds)
    if (!result && result.error().kind == kind) return ::testing::AssertionSuccess();
  return failed_with(result, *kinds.begin());
}

} // namespace testing_support
} // namespace checkvalve

#define EXPECT_OK(expr) EXPECT_TRUE(::checkvalve::testing_support::succeeded(expr))
#define ASSERT_OK(expr) ASSERT_TRUE(::checkvalve::testing_support::succeeded(expr))
#define EXPECT_FAILS(expr, kind) EXPECT_TRUE(::checkvalve::testing_support::failed_with(expr, kind))
// Where protocols can't tell kinds apart.
#define EXPECT_FAILS_ONE_OF(expr, ...) EXPECT_TRUE(::checkvalve::testing_support::failed_with_one_of(expr, __VA_ARGS__))

// For coroutines that return Task<void>: report and end.
#define CO_ASSERT_TRUE(expr)                                                                                           \
  do {                                                                                                                 \
    if (::testing::AssertionResult co_assert_(expr); !co_assert_) {                                                    \
      ADD_FAILURE() << #expr << ": " << co_assert_.message();                                                          \
      co_return;                                                                                                       \
    }                                                                                                                  \
  } while (0)
#define CO_ASSERT_OK(expr)                                                                                             \
  do {                                                                                                                 \
    auto co_assert_ = (expr);                                                                                          \
    if (!co_assert_) {                                                                                                 \
      ADD_FAILURE() << #expr << ": " << ::checkvalve::to_string(co_assert_.error().kind) << ": "                       \
                    << co_assert_.error().text();                                                                      \
      co_return;                                                                                                       \
    }                                                                                                                  \
  } while (0)
// Assigns the value of a Result to DECL, or reports the error and ends.
#define CO_ASSERT_VALUE(decl, expr) CO_ASSERT_VALUE_(CV_CONCAT(co_value_, __LINE__), decl, expr)
#define CO_ASSERT_VALUE_(tmp, decl, expr)                                                                              \
  auto tmp = (expr);                                                                                                   \
  if (!tmp) {                                                                                                          \
    ADD_FAILURE() << #expr << ": " << ::checkvalve::to_string(tmp.error().kind) << ": " << tmp.error().text();         \
    co_return;                                                                                                         \
  }                                                                                                                    \
  decl = std::move(*tmp)
