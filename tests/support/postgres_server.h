// A real PostgreSQL, and PgBouncer in front of it, for the tests of one program: tests/servers/postgres.py. For
// programs that link checkvalve_state.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace checkvalve::testing_support {

class PostgresServer {
public:
  // Started by the first call; ends with the program, however that ends. url() is empty if it could not be started.
  static PostgresServer& instance() {
    static PostgresServer server;
    return server;
  }

  const std::string& url() const { return url_; }               // of a superuser, to the database "postgres"
  const std::string& pooler_url() const { return pooler_url_; } // empty: PgBouncer is not installed
  const std::string& password() const { return password_; }

  static std::string with_database(const std::string& url, const std::string& database) {
    return url.substr(0, url.rfind('/') + 1) + database;
  }

  // Runs SQL as the superuser; the first value of the last result.
  std::string sql(const std::string& text, const std::string& database = "postgres") const {
    const std::string location = with_database(url_, database);
    const char* keywords[] = {"dbname", "password", nullptr};
    const char* values[] = {location.c_str(), password_.c_str(), nullptr};
    const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdbParams(keywords, values, 1), PQfinish);
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), text.c_str()), PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        << text << ": " << PQerrorMessage(connection.get());
    return status == PGRES_TUPLES_OK && PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
  }

  // An empty database of its own; its name.
  std::string make_database() const {
    static std::atomic<int> count = 0;
    const std::string name = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    sql("CREATE DATABASE " + name);
    return name;
  }

private:
  PostgresServer() {
    int input[2];
    int output[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) return;
    const std::string tests = std::filesystem::path(__FILE__).parent_path().parent_path().string();
    child_ = ::fork();
    if (child_ == 0) {
      if (::dup2(input[0], 0) == 0 && ::dup2(output[1], 1) == 1 && ::chdir(tests.c_str()) == 0)
        ::execlp("python3", "python3", "-m", "servers.postgres", nullptr);
      ::_exit(127);
    }
    ::close(input[0]);
    ::close(output[1]);
    input_ = input[1];
    const std::unique_ptr<FILE, int (*)(FILE*)> lines(::fdopen(output[0], "r"), std::fclose);
    for (std::string* line : {&url_, &pooler_url_, &password_})
      for (int c; (c = std::fgetc(lines.get())) != EOF && c != '\n';) *line += static_cast<char>(c);
  }

  ~PostgresServer() {
    if (input_ >= 0) ::close(input_);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }

  pid_t child_ = -1;
  int input_ = -1;
  std::string url_;
  std::string pooler_url_;
  std::string password_;
};

} // namespace checkvalve::testing_support
