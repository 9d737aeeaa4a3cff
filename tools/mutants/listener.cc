// Linked into the test programs of ./dev mutants: after each test appends "SUITE.TEST SECONDS NUMBER…" to the file
// $MUTANTS_REACHED.tests, the numbers being those of the mutants that the test reached.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "mutant.h"

namespace {

class Recorder : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    std::ofstream file(std::string(std::getenv("MUTANTS_REACHED")) + ".tests", std::ios::app);
    file << test.test_suite_name() << '.' << test.name() << ' '
         << static_cast<double>(test.result()->elapsed_time()) / 1000;
    for (int number = 0; number < checkvalve::mutants::max_mutants; ++number) {
      if (std::exchange(reached_[number], 0) != 0) file << ' ' << number;
    }
    file << '\n';
  }

  unsigned char* reached_ = checkvalve::mutants::settings().reached;
};

[[maybe_unused]] const bool added = [] {
  if (checkvalve::mutants::settings().reached == nullptr) return false;
  testing::UnitTest::GetInstance()->listeners().Append(new Recorder());
  return true;
}();

} // namespace
