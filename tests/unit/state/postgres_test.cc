// What is PostgreSQL's own: the URL, the password, lost connections. The store's rules: tests/conformance/state.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "state/schema.h"
#include "state/store.h"
#include "support/awaited.h"
#include "support/postgres_server.h"

namespace checkvalve {
namespace {

using testing_support::awaited;

using testing_support::PostgresServer;

constexpr std::chrono::milliseconds long_ttl{3'600'000};
constexpr std::chrono::milliseconds no_ttl{0};

// Forwards one connection after another to a server. Can cut a connection right after it has passed on a message that
// holds some text: the server does what it says, and nobody hears the answer.
class CuttingProxy {
public:
  explicit CuttingProxy(std::uint16_t server_port) : server_port_(server_port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::pipe(stop_), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~CuttingProxy() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }
  void cut_after(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  bool has_cut() {
    const std::lock_guard lock(mutex_);
    return text_.empty();
  }

private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  bool readable(int first, int second, bool& first_ready) {
    pollfd waiting[] = {{stop_[0], POLLIN, 0}, {first, POLLIN, 0}, {second, POLLIN, 0}};
    if (::poll(waiting, second < 0 ? 2 : 3, -1) < 0 || waiting[0].revents != 0) return false;
    first_ready = waiting[1].revents != 0;
    return true;
  }

  void serve() {
    for (bool ready = false; readable(listener_, -1, ready);) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(server_port_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) forward(client, server);
      ::close(client);
      ::close(server);
    }
  }

  void forward(int client, int server) {
    char buffer[65536];
    for (bool from_client = false; readable(client, server, from_client);) {
      const ssize_t got = ::recv(from_client ? client : server, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      const auto size = static_cast<std::size_t>(got);
      if (::send(from_client ? server : client, buffer, size, MSG_NOSIGNAL) != got) return;
      if (from_client && must_cut({buffer, size})) {
        (void)::recv(server, buffer, sizeof buffer, 0); // the answer: so it is certain that the work was done
        return;
      }
    }
  }

  bool must_cut(std::string_view sent) {
    const std::lock_guard lock(mutex_);
    if (text_.empty() || sent.find(text_) == sent.npos) return false;
    text_.clear();
    return true;
  }

  std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::mutex mutex_;
  std::string text_;
  std::thread thread_;
};

class Postgres : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(server_.url().empty()) << "PostgreSQL did not start; is postgresql-15 installed?";
    database_ = server_.make_database();
    url_ = PostgresServer::with_database(server_.url(), database_);
  }

  static Result<std::unique_ptr<StateStore>> open(const std::string& url, const std::string& password) {
    std::vector<std::string> warnings;
    return open_state_store(url, warnings,
                            {.password = Secret(password), .busy_timeout = std::chrono::milliseconds(50)});
  }
  Result<std::unique_ptr<StateStore>> open() { return open(url_, server_.password()); }

  std::string url_by(const CuttingProxy& proxy) const {
    return "postgresql://checkvalve@127.0.0.1:" + std::to_string(proxy.port()) + "/" + database_ + "?sslmode=disable";
  }
  std::uint16_t server_port() const {
    const std::string& url = server_.url();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  void drop_connections() {
    server_.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '" + database_ + "'");
  }

  PostgresServer& server_ = PostgresServer::instance();
  std::string database_;
  std::string url_;
};

PlanRecord plan_named(const std::string& id) {
  PlanRecord plan;
  plan.id = id;
  return plan;
}

void make_plan(StateStore& store, const std::string& id, std::uint64_t count) {
  ASSERT_TRUE(awaited(store.plans.create(plan_named(id))));
  std::vector<PlannedFile> files(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    files[i].number = i + 1;
    files[i].batch = 1;
    files[i].path = "f" + std::to_string(i + 1);
    files[i].size_bytes = 1;
  }
  ASSERT_TRUE(awaited(store.plans.add_files(id, files)));
  ASSERT_TRUE(awaited(store.plans.finish(plan_named(id))));
}

FileOutcome committed(std::uint64_t number) {
  FileOutcome outcome;
  outcome.number = number;
  return outcome;
}

TEST(PostgresUrl, WithAPasswordIsRefusedWithoutShowingIt) {
  for (const char* url : {"postgresql://me:hunter2@127.0.0.1/db", "postgresql://me:hun/ter2@127.0.0.1/db",
                          "postgresql://me:hunter2=@127.0.0.1/db", "postgres://me:hunter2@127.0.0.1",
                          "postgresql://127.0.0.1/db?password=hunter2", "postgresql://127.0.0.1/db?sslpassword=hunter2",
                          "postgresql://127.0.0.1/db?pass%77ord=hunter2", "postgresql://me:hunter2@[::1/db"}) {
    std::vector<std::string> warnings;
    const auto store = open_state_store(url, warnings);
    ASSERT_FALSE(store) << url;
    EXPECT_EQ(store.error().kind, ErrorKind::config) << url;
    EXPECT_EQ(store.error().text().find("ter2"), std::string::npos) << store.error().text();
    EXPECT_NE(store.error().text().find("CHECKVALVE_STATE_PASSWORD"), std::string::npos) << store.error().text();
  }
}

TEST(PostgresUrl, ThatCanNotBeReadSaysWhy) {
  std::vector<std::string> warnings;
  const auto store = open_state_store("postgresql://host/db?colour=red", warnings);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::config);
  EXPECT_NE(store.error().message.find("colour"), std::string::npos) << store.error().text();
  EXPECT_NE(store.error().message.find("postgresql://user@host:port/database"), std::string::npos);
}

TEST_F(Postgres, AWrongPasswordIsAPermanentErrorThatSaysWhereItComesFrom) {
  for (const char* password : {"not-the-password", ""}) {
    ::setenv("PGPASSFILE", "/nonexistent", 1);
    const auto store = open(url_, password);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().kind, ErrorKind::state);
    EXPECT_FALSE(store.error().transient()) << store.error().text();
    EXPECT_NE(store.error().text().find("CHECKVALVE_STATE_PASSWORD"), std::string::npos) << store.error().text();
    EXPECT_EQ(store.error().text().find("not-the-password"), std::string::npos) << store.error().text();
    EXPECT_NE(store.error().text().find(database_), std::string::npos) << store.error().text();
  }
}

TEST_F(Postgres, ADatabaseThatIsNotThereIsPermanentAServerThatIsNotThereIsTemporary) {
  const auto missing = open(PostgresServer::with_database(server_.url(), "nowhere"), server_.password());
  ASSERT_FALSE(missing);
  EXPECT_FALSE(missing.error().transient()) << missing.error().text();
  EXPECT_NE(missing.error().message.find("nowhere"), std::string::npos) << missing.error().text();

  const int unused = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // bound, but does not listen: refuses
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(unused, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::getsockname(unused, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const auto down = open("postgresql://me@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/db", "x");
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().kind, ErrorKind::state);
  EXPECT_TRUE(down.error().transient()) << down.error().text();
  ::close(unused);
}

TEST_F(Postgres, TlsIsDemandedWhereTheUrlDoes) {
  const auto store = open(url_ + "?sslmode=require", server_.password()); // the test's server has none
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("SSL"), std::string::npos) << store.error().text();
}

TEST_F(Postgres, ANewerSchemaAsksForAnUpgrade) {
  ASSERT_TRUE(open());
  server_.sql("UPDATE cv_schema SET version = " + std::to_string(schema_version() + 1), database_);
  const auto store = open();
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("upgrade"), std::string::npos) << store.error().text();
}

TEST_F(Postgres, AUserWithoutRightsGetsAHintWhatToGrant) {
  server_.sql("CREATE ROLE stranger_" + database_ + " LOGIN PASSWORD 'only-for-this-test'");
  const auto store = open("postgresql://stranger_" + database_ + url_.substr(url_.find('@')), "only-for-this-test");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("GRANT"), std::string::npos) << store.error().text();
  // Once the tables are there, using them takes no right to make some.
  ASSERT_TRUE(open());
  server_.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO stranger_" + database_, database_);
  const auto opened = open("postgresql://stranger_" + database_ + url_.substr(url_.find('@')), "only-for-this-test");
  ASSERT_TRUE(opened) << opened.error().text();
}

TEST_F(Postgres, ALockThatIsKeptTooLongIsATemporaryError) {
  auto store = open();
  ASSERT_TRUE(store);
  make_plan(**store, "p", 1);
  const std::string keywords = PostgresServer::with_database(server_.url(), database_);
  const char* names[] = {"dbname", "password", nullptr};
  const char* values[] = {keywords.c_str(), server_.password().c_str(), nullptr};
  const std::unique_ptr<PGconn, void (*)(PGconn*)> other(PQconnectdbParams(names, values, 1), PQfinish);
  PQclear(PQexec(other.get(), "BEGIN; SELECT * FROM cv_batches FOR UPDATE"));
  const auto refused = awaited((*store)->leases.take("p", 1, "w", long_ttl));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::state);
  EXPECT_TRUE(refused.error().transient()) << refused.error().text();
  EXPECT_TRUE(awaited((*store)->plans.newest(1))); // readers do not wait
  PQclear(PQexec(other.get(), "COMMIT"));
  const auto taken = awaited((*store)->leases.take("p", 1, "w", long_ttl));
  ASSERT_TRUE(taken);
  // Two workers that end the last two batches at once: the second waits, so that it sees the first one's batch ended.
  PQclear(PQexec(other.get(), "BEGIN; SELECT * FROM cv_plans FOR NO KEY UPDATE"));
  EXPECT_FALSE(awaited((*store)->leases.release(*taken->lease)));
  EXPECT_TRUE(awaited((*store)->leases.renew(*taken->lease, long_ttl))); // does not touch the plan
  PQclear(PQexec(other.get(), "COMMIT"));
  EXPECT_TRUE(awaited((*store)->leases.release(*taken->lease)));
}

// A VACUUM, or an index that is built concurrently, holds this lock for as long as it takes.
TEST_F(Postgres, MaintenanceOfTheTablesDelaysNoWorker) {
  auto store = open();
  ASSERT_TRUE(store);
  const std::string keywords = PostgresServer::with_database(server_.url(), database_);
  const char* names[] = {"dbname", "password", nullptr};
  const char* values[] = {keywords.c_str(), server_.password().c_str(), nullptr};
  const std::unique_ptr<PGconn, void (*)(PGconn*)> other(PQconnectdbParams(names, values, 1), PQfinish);
  PQclear(PQexec(other.get(), "BEGIN; LOCK TABLE cv_files, cv_published IN SHARE UPDATE EXCLUSIVE MODE"));
  make_plan(**store, "p", 1);
  const auto taken = awaited((*store)->leases.take("p", 1, "w", long_ttl));
  ASSERT_TRUE(taken && taken->lease);
  const std::vector<FileOutcome> outcomes = {{.number = 1}};
  EXPECT_TRUE(awaited((*store)->leases.checkpoint(*taken->lease, outcomes, HistoryScope{{"in", "out"}, ""})));
  EXPECT_TRUE(awaited((*store)->leases.release(*taken->lease)));
  EXPECT_TRUE(awaited((*store)->plans.prune(std::chrono::hours(1))));
  EXPECT_TRUE(awaited((*store)->history.prune(std::chrono::hours(1))));
  EXPECT_EQ(awaited((*store)->plans.find("p"))->state, PlanState::done);
  PQclear(PQexec(other.get(), "COMMIT"));
}

TEST_F(Postgres, AConnectionThatWasLostBetweenCallsIsMadeAgain) {
  auto store = open();
  ASSERT_TRUE(store);
  make_plan(**store, "p", 3);
  drop_connections();
  EXPECT_TRUE(awaited((*store)->plans.find("p"))); // a read
  drop_connections();
  const auto taken = awaited((*store)->leases.take("p", 1, "w", long_ttl)); // a transaction
  ASSERT_TRUE(taken) << taken.error().text();
  ASSERT_TRUE(taken->lease);
  EXPECT_EQ(taken->lease->generation, 1U);
  drop_connections();
  EXPECT_TRUE(awaited((*store)->leases.checkpoint(*taken->lease, std::vector{committed(1)}, {})));
  EXPECT_EQ(awaited((*store)->plans.batches("p"))->at(0).files_done, 1U);
  drop_connections();
  EXPECT_TRUE(awaited((*store)->plans.create(plan_named("q")))); // was not begun: nothing speaks against doing it again
}

TEST_F(Postgres, AConnectionThatIsLostInATransactionUndoesAndRepeatsIt) {
  CuttingProxy proxy(server_port());
  auto store = open(url_by(proxy), server_.password());
  ASSERT_TRUE(store) << store.error().text();
  make_plan(**store, "p", 3);
  const auto lease = awaited((*store)->leases.take("p", 1, "w", long_ttl))->lease;
  ASSERT_TRUE(lease);
  proxy.cut_after("UPDATE cv_files");
  ASSERT_TRUE(awaited((*store)->leases.checkpoint(*lease, std::vector{committed(1), committed(2)}, {})));
  EXPECT_TRUE(proxy.has_cut());
  proxy.cut_after("COPY cv_files");
  ASSERT_TRUE(awaited((*store)->plans.create(plan_named("q"))));
  ASSERT_TRUE(awaited((*store)->plans.add_files("q", std::vector<PlannedFile>(1))));
  EXPECT_TRUE(proxy.has_cut());
  EXPECT_EQ(awaited((*store)->plans.batches("p"))->at(0).files_done, 2U);
}

// The server has committed, the answer is lost.
TEST_F(Postgres, ACommitWhoseAnswerIsLostIsNotDoneTwice) {
  const std::string commit("COMMIT\0", 7); // the whole statement: BEGIN says "READ COMMITTED"
  CuttingProxy proxy(server_port());
  auto store = open(url_by(proxy), server_.password());
  ASSERT_TRUE(store) << store.error().text();
  make_plan(**store, "p", 3);
  const auto first = awaited((*store)->leases.take("p", 1, "w", no_ttl))->lease; // expires at once
  ASSERT_TRUE(first);

  proxy.cut_after(commit);
  const auto taken = awaited((*store)->leases.take("p", 1, "w", long_ttl));
  EXPECT_TRUE(proxy.has_cut());
  ASSERT_TRUE(taken) << taken.error().text();
  ASSERT_TRUE(taken->lease); // its own lease, not somebody else's
  EXPECT_EQ(taken->lease->generation, 2U);
  EXPECT_EQ(taken->lease->previous_nonce, first->nonce);

  proxy.cut_after(commit);
  ASSERT_TRUE(
      awaited((*store)->leases.checkpoint(*taken->lease, std::vector{committed(1), committed(2), committed(3)}, {})));
  EXPECT_TRUE(proxy.has_cut());
  EXPECT_EQ(awaited((*store)->plans.batches("p"))->at(0).files_done, 3U);
  EXPECT_EQ(awaited((*store)->plans.batches("p"))->at(0).bytes_done, 3U);

  proxy.cut_after(commit);
  ASSERT_TRUE(awaited((*store)->leases.release(*taken->lease)));
  EXPECT_TRUE(proxy.has_cut());
  EXPECT_EQ(awaited((*store)->plans.batches("p"))->at(0).state, BatchState::done);

  proxy.cut_after(commit); // can't be distinguished from a plan of another process
  const auto unknown = awaited((*store)->plans.create(plan_named("q")));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::state);
  EXPECT_TRUE(unknown.error().transient());
  EXPECT_TRUE(awaited((*store)->plans.find("q")));
}

} // namespace
} // namespace checkvalve
