#include <stdlib.h>

#include <filesystem>

#include "suite.h"

namespace checkvalve::test {
namespace {

class SqliteFixture final : public StateFixture {
public:
  SqliteFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cv-state-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SqliteFixture() override { std::filesystem::remove_all(directory_); }

  Result<std::unique_ptr<StateStore>> open() override {
    std::vector<std::string> warnings;
    auto store = open_state_store(directory_ + "/state.db", warnings);
    for (const std::string& warning : warnings) ADD_FAILURE() << warning;
    return store;
  }

private:
  std::string directory_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreSuite,
                         ::testing::Values(StateFactory{"Sqlite", [] { return std::make_unique<SqliteFixture>(); }}),
                         factory_name);

} // namespace
} // namespace checkvalve::test
