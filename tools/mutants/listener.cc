// Linked into the test programs of ./dev mutants: after each test that passed appends "SUITE.TEST SECONDS NUMBER…" to
// the file $MUTANTS_TESTS, the numbers being those of the mutants that the test reached (mutant.h).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "mutant.h"

namespace {

class Recorder : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    std::ostringstream line;
    line << test.test_suite_name() << '.' << test.name() << ' '
         << static_cast<double>(test.result()->elapsed_time()) / 1000;
    for (int number = 0; number < checkvalve::mutants::max_mutants; ++number) {
      if (std::exchange(reached_[number], 0) != 0) line << ' ' << number;
    }
    if (test.result()->Passed()) std::ofstream(std::getenv("MUTANTS_TESTS"), std::ios::app) << line.str() << '\n';
  }

  unsigned char* reached_ = checkvalve::mutants::settings().reached;
};

[[maybe_unused]] const bool added = [] {
  if (std::getenv("MUTANTS_TESTS") == nullptr || checkvalve::mutants::settings().reached == nullptr) return false;
  testing::UnitTest::GetInstance()->listeners().Append(new Recorder());
  return true;
}();

} // namespace
