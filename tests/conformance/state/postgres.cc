#include "support/postgres_server.h"

#include "suite.h"

namespace checkvalve::test {
namespace {

using testing_support::PostgresServer;

// A database of its own for each test; workers connect to the server or through the pooler.
class PostgresFixture final : public StateFixture {
public:
  explicit PostgresFixture(const std::string& url)
      : database_(server_.make_database()), location_(PostgresServer::with_database(url, database_)) {}

  Result<std::unique_ptr<StateStore>> open() override {
    std::vector<std::string> warnings;
    return open_state_store(location_, warnings, {.password = Secret(server_.password())});
  }

  void sql(const std::string& text) override { server_.sql(text, database_); }
  std::string literal(std::string_view bytes) const override { return "'\\x" + hex(bytes) + "'::bytea"; }

private:
  PostgresServer& server_ = PostgresServer::instance();
  std::string database_;
  std::string location_;
};

std::unique_ptr<StateFixture> direct() {
  const PostgresServer& server = PostgresServer::instance();
  EXPECT_FALSE(server.url().empty()) << "PostgreSQL did not start; is postgresql-15 installed?";
  return server.url().empty() ? nullptr : std::make_unique<PostgresFixture>(server.url());
}

std::unique_ptr<StateFixture> pooled() {
  const PostgresServer& server = PostgresServer::instance();
  return server.pooler_url().empty() ? nullptr : std::make_unique<PostgresFixture>(server.pooler_url());
}

INSTANTIATE_TEST_SUITE_P(Postgres, StateStoreSuite,
                         ::testing::Values(StateFactory{"Postgres", direct}, StateFactory{"PgBouncer", pooled}),
                         factory_name);

} // namespace
} // namespace checkvalve::test
