#include "state/sqlite_database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "core/path.h"
#include "state/schema.h"
#include "state/sqlite_file.h"

namespace checkvalve {
namespace {

constexpr Dialect sqlite_dialect = {
    .bytes = "BLOB",
    .identity = "INTEGER PRIMARY KEY",
    .clustered = "WITHOUT ROWID",
    .now_ms = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
    .for_update = "",
    .json = "TEXT",
    .json_each = "json_each",
    .has_schema = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'cv_schema'",
    .analyze = "",
    .lock_schema = "",
    .parameter = '?',
};

struct CloseDatabase {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

class Row final : public SqlRow {
public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
  std::string_view bytes(int column) const override {
    const void* data = sqlite3_column_blob(statement_, column); // null for an empty value
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return data ? std::string_view(static_cast<const char*>(data), size) : std::string_view();
  }

private:
  sqlite3_stmt* statement_;
};

// The values outlive the statement's run: they are bound without a copy.
int bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return sqlite3_bind_int64(statement, index, *number);
  if (const auto* text = std::get_if<SqlText>(&value))
    return sqlite3_bind_text64(statement, index, text->value.data() ? text->value.data() : "", text->value.size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  if (const auto* bytes = std::get_if<SqlBytes>(&value))
    return sqlite3_bind_blob64(statement, index, bytes->value.data() ? bytes->value.data() : "", bytes->value.size(),
                               SQLITE_STATIC);
  return sqlite3_bind_null(statement, index);
}

bool is_damage(int code) { return (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB; }

// `system_errno`: of the call that failed, for SQLITE_IOERR.
Error sqlite_error(int code, int system_errno, std::string_view message, const std::string& path) {
  Error error = make_error(ErrorKind::state, "use state", escape_bytes(path), std::string(message));
  const bool no_room = (code & 0xFF) == SQLITE_IOERR && (system_errno == ENOSPC || system_errno == EDQUOT);
  if (no_room) code = SQLITE_FULL;
  switch (code & 0xFF) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    error.status = ErrorStatus::transient;
    error.message = "another process kept the state locked for too long";
    break;
  case SQLITE_FULL:
    error.status = ErrorStatus::transient;
    error.message = "the disk of the state file is full";
    error.hint = "free space there and run the command again, or name another place with --state";
    break;
  case SQLITE_IOERR:
    if (code == SQLITE_IOERR_LOCK || code == SQLITE_IOERR_RDLOCK || code == SQLITE_IOERR_SHMLOCK ||
        code == SQLITE_IOERR_NOMEM)
      error.status = ErrorStatus::transient;
    error.message = system_errno == 0 ? std::string(message)
                                      : fmt::format("{} ({})", message, std::generic_category().message(system_errno));
    break;
  case SQLITE_READONLY:
    error.message = "the state file or its directory can't be written to: change the permissions, or name another "
                    "place with --state";
    break;
  case SQLITE_CANTOPEN:
    error.message = "can't open the state file or make its -wal and -shm beside it: check the permissions of the "
                    "directory, or name another place with --state";
    break;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    error.message = fmt::format("the state file is damaged ({}): run again; it will be set aside, and what the target "
                                "holds is found by comparing",
                                message);
    break;
  default: break;
  }
  return error;
}

class SqliteDatabase final : public SqlDatabase {
public:
  SqliteDatabase(Handle handle, std::string path) : handle_(std::move(handle)), path_(std::move(path)) {}

  const Dialect& dialect() const override { return sqlite_dialect; }
  std::string display() const override { return escape_bytes(path_); }

  // IMMEDIATE: a transaction that read first and then has to wait for a writer could only start over.
  Result<void> begin(Flush flush) override {
    if (std::exchange(flush_, flush) != flush) {
      const bool now = flush == Flush::at_commit;
      CV_CHECK(execute(now ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", {}));
    }
    return discard_count(execute("BEGIN IMMEDIATE", {}));
  }
  Result<void> commit() override { return discard_count(execute("COMMIT", {})); }
  void rollback() override {
    if (sqlite3_get_autocommit(handle_.get()) == 0) (void)execute("ROLLBACK", {});
  }

  Result<std::uint64_t> execute(std::string_view sql, std::span<const SqlValue> values) override {
    CV_TRY(sqlite3_stmt* const statement, prepared(sql));
    CV_CHECK(run_once(statement, values, nullptr));
    return static_cast<std::uint64_t>(sqlite3_changes(handle_.get()));
  }

  Result<void> query(std::string_view sql, std::span<const SqlValue> values, const RowSink& sink) override {
    CV_TRY(sqlite3_stmt* const statement, prepared(sql));
    return run_once(statement, values, &sink);
  }

  Result<void> execute_many(std::string_view sql, std::size_t columns, std::size_t rows,
                            const RowSource& source) override {
    CV_TRY(sqlite3_stmt* const statement, prepared(sql));
    std::array<SqlValue, max_columns> values;
    const std::span used(values.data(), columns);
    for (std::size_t i = 0; i < rows; ++i) {
      std::fill(used.begin(), used.end(), SqlValue());
      source(i, used);
      CV_CHECK(run_once(statement, used, nullptr));
    }
    return {};
  }

  Result<void> append(std::string_view table, std::string_view columns, std::size_t rows,
                      const RowSource& source) override {
    const auto count = static_cast<std::size_t>(std::count(columns.begin(), columns.end(), ',')) + 1;
    std::string sql = fmt::format("INSERT INTO {} ({}) VALUES ($1", table, columns);
    for (std::size_t i = 2; i <= count; ++i) sql += fmt::format(", ${}", i);
    return execute_many(sql + ")", count, rows, source);
  }

  bool try_again(int, bool) override { return false; } // the busy timeout has waited already

private:
  static Result<void> discard_count(const Result<std::uint64_t>& result) {
    if (!result) return Failure(result.error());
    return {};
  }

  Result<sqlite3_stmt*> prepared(std::string_view sql) {
    const auto found = statements_.find(std::string(sql));
    if (found != statements_.end()) return found->second.get();
    const std::string text = sqlite_dialect.render(sql);
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), text.c_str(), static_cast<int>(text.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    Statement owned(statement);
    if (code != SQLITE_OK) return Failure(failure(code));
    statements_.emplace(sql, std::move(owned));
    return statement;
  }

  Result<void> run_once(sqlite3_stmt* statement, std::span<const SqlValue> values, const RowSink* sink) {
    int code = SQLITE_OK;
    for (std::size_t i = 0; i < values.size() && code == SQLITE_OK; ++i)
      code = bind(statement, static_cast<int>(i) + 1, values[i]);
    if (code == SQLITE_OK)
      while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        if (sink) (*sink)(Row(statement));
    // The message belongs to the last call on the handle: taken before the reset.
    Result<void> result;
    if (code != SQLITE_DONE) result = Failure(failure(code));
    sqlite3_reset(statement);
    return result;
  }

  Error failure(int code) {
    const int extended = sqlite3_extended_errcode(handle_.get());
    if (is_damage(code)) mark_damaged(path_);
    return sqlite_error((extended & 0xFF) == (code & 0xFF) ? extended : code, sqlite3_system_errno(handle_.get()),
                        sqlite3_errmsg(handle_.get()), path_);
  }

  Handle handle_;
  std::string path_;
  Flush flush_ = Flush::later;                            // as PRAGMA synchronous says
  std::unordered_map<std::string, Statement> statements_; // after handle_: finalized first
};

struct Attempt {
  int code = SQLITE_OK; // of SQLite, where it failed
  std::string message;
  int system_errno = 0;
  bool foreign = false; // a database without our tables
};

int run_pragma(sqlite3* handle, const std::string& sql, std::string* answer = nullptr) {
  const auto keep = [](void* out, int columns, char** values, char**) {
    if (out && columns > 0 && values[0]) *static_cast<std::string*>(out) = values[0];
    return 0;
  };
  return sqlite3_exec(handle, sql.c_str(), keep, answer, nullptr);
}

// Turning to WAL takes an exclusive lock that does not wait for other processes doing the same.
int enter_wal_mode(sqlite3* handle, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const int code = run_pragma(handle, "PRAGMA journal_mode = WAL");
    if ((code & 0xFF) != SQLITE_BUSY || std::chrono::steady_clock::now() >= deadline) return code;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

constexpr const char* is_foreign = "SELECT (SELECT count(*) FROM sqlite_schema) > 0 AND NOT EXISTS "
                                   "(SELECT 1 FROM sqlite_schema WHERE name = 'cv_schema')";

// Opens the handle and sets it up; `attempt` says what failed. Writes nothing into a foreign database.
Handle set_up(const std::string& path, std::chrono::milliseconds busy_timeout, Attempt& attempt) {
  sqlite3* raw = nullptr;
  attempt.code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Handle handle(raw);
  if (attempt.code == SQLITE_OK) {
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, static_cast<int>(busy_timeout.count()));
    std::string foreign;
    attempt.code = run_pragma(raw, is_foreign, &foreign); // reads the header and parses the schema
    attempt.foreign = foreign == "1";
    if (attempt.foreign) return handle;
  }
  if (attempt.code == SQLITE_OK) attempt.code = enter_wal_mode(raw, busy_timeout);
  // NORMAL: in WAL mode a power loss may lose the last commits, but never the file. 8 MiB of page cache bounds memory.
  if (attempt.code == SQLITE_OK)
    attempt.code = run_pragma(raw, "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; "
                                   "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864");
  if (attempt.code == SQLITE_OK && marked_damaged(path)) {
    std::string answer;
    attempt.code = run_pragma(raw, "PRAGMA quick_check(1)", &answer);
    if (attempt.code == SQLITE_OK && answer != "ok") {
      attempt = {SQLITE_CORRUPT, answer};
      return handle;
    }
    if (attempt.code == SQLITE_OK) clear_damaged(path);
  }
  if (attempt.code != SQLITE_OK) {
    attempt.message = raw ? sqlite3_errmsg(raw) : "out of memory";
    attempt.system_errno = raw ? sqlite3_system_errno(raw) : 0;
  }
  return handle;
}

// The user named the wrong file: it stays as it is.
Failure not_a_state(const std::string& path, std::string message) {
  return Failure(make_error(ErrorKind::state, "open state", escape_bytes(path), std::move(message))
                     .with_hint("name another file with --state, or move this one away to begin a new state"));
}

} // namespace

Result<std::unique_ptr<SqlDatabase>> open_sqlite(const std::string& path, std::chrono::milliseconds busy_timeout,
                                                 std::vector<std::string>& warnings) {
  // Each turn sets aside one damaged file, ours or another process's.
  for (int turn = 1;; ++turn) {
    CV_CHECK(prepare_state_file(path));
    const std::string identity = file_identity(path);
    Attempt attempt;
    Handle handle = set_up(path, busy_timeout, attempt);
    if (attempt.foreign) return not_a_state(path, "the file is the database of another program");
    if (attempt.code == SQLITE_OK) {
      auto database = std::make_unique<SqliteDatabase>(std::move(handle), path);
      CV_CHECK(migrate(*database));
      return database;
    }
    if (!is_damage(attempt.code) || turn == 3)
      return Failure(sqlite_error(attempt.code, attempt.system_errno, attempt.message, path));
    handle.reset();
    if (file_identity(path) == identity && !looks_like_state(path)) return not_a_state(path, "the file is not a state");
    CV_TRY(const std::string renamed, set_aside(path, identity));
    if (!renamed.empty())
      warnings.push_back(
          fmt::format("the state file {} was damaged ({}) and is now {}; the target will be compared again",
                      escape_bytes(path), attempt.message, escape_bytes(renamed)));
  }
}

} // namespace checkvalve
