// The suite that every state store must pass. A store joins by a fixture and one INSTANTIATE_TEST_SUITE_P line.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "state/store.h"
#include "support/awaited.h"

namespace checkvalve::test {

using testing_support::awaited;

// One empty state. Each open() is another worker: a connection of its own. May be called after fork().
class StateFixture {
public:
  virtual ~StateFixture() = default;
  virtual Result<std::unique_ptr<StateStore>> open() = 0;
  // Runs SQL behind the stores' backs.
  virtual void sql(const std::string& text) = 0;
  // A byte string in SQL.
  virtual std::string literal(std::string_view bytes) const = 0;
};

struct StateFactory {
  std::string name;
  std::function<std::unique_ptr<StateFixture>()>
      make; // null from it: can't run here, which the test reports as skipped
};

inline void PrintTo(const StateFactory& factory, std::ostream* out) { *out << factory.name; }

class StateStoreSuite : public ::testing::TestWithParam<StateFactory> {
protected:
  void SetUp() override;
  std::unique_ptr<StateStore> open();

  // A finished plan with `batches` batches of `files` files each, numbered from 1; paths "b<batch>/f<number>".
  void make_plan(const std::string& id, std::uint32_t batches, std::uint64_t files);

  std::unique_ptr<StateFixture> fixture_;
  std::unique_ptr<StateStore> store_;
};

inline std::string factory_name(const ::testing::TestParamInfo<StateFactory>& info) { return info.param.name; }

// Fails the test with the error's text instead of throwing away why.
template <class T>::testing::AssertionResult ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error().kind) << ": " << result.error().text();
}
template <class T>::testing::AssertionResult fails(const Result<T>& result, ErrorKind kind) {
  if (result) return ::testing::AssertionFailure() << "it succeeded";
  if (result.error().kind == kind) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error().kind) << ": " << result.error().text();
}

std::string hex(std::string_view bytes);
PlanRecord plan_record(const std::string& id);
PlannedFile planned(std::uint64_t number, std::uint32_t batch, std::string path, std::uint64_t size_bytes = 10);
FileOutcome outcome(std::uint64_t number, FileState state);

inline const PairKey pair{"in", "out"};
inline constexpr std::chrono::milliseconds long_ttl{3'600'000};
inline constexpr std::chrono::milliseconds no_ttl{0}; // the lease expires at once

} // namespace checkvalve::test
