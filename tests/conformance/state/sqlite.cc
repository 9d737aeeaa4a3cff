#include <sqlite3.h>
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

  void sql(const std::string& text) override {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ + "/state.db").c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << text << ": " << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }
  std::string literal(std::string_view bytes) const override { return "X'" + hex(bytes) + "'"; }

private:
  std::string directory_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreSuite,
                         ::testing::Values(StateFactory{"Sqlite", [] { return std::make_unique<SqliteFixture>(); }}),
                         factory_name);

} // namespace
} // namespace checkvalve::test
