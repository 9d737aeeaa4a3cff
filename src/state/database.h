// SqlDatabase: what the state store needs of a database, so that its rules (leases, checkpoints, plans) are written
// once for SQLite and PostgreSQL. SQL is written for both; the few words that differ come from the Dialect.
//
// One thread at a time. Errors have kind state; status temporary where a later try may succeed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "core/result.h"

namespace checkvalve {

// Each stands in SQL as {name}; parameters are $1, $2, …
struct Dialect {
  std::string_view bytes;       // {bytes}: the type of byte strings, compared byte by byte
  std::string_view identity;    // {identity}: definition of an integer key that the database draws
  std::string_view clustered;   // {clustered}: after CREATE TABLE: rows lie in the order of the primary key
  std::string_view now_ms;      // {now_ms}: the database's clock, milliseconds since 1970 UTC
  std::string_view for_update;  // {for_update}: after SELECT: the rows stay locked until the transaction ends
  std::string_view json;        // {json}: the type of a JSON text …
  std::string_view json_each;   // {json_each}: … and the table function that gives an array's elements as `value`
  std::string_view has_schema;  // a query that gives 1 if the table cv_schema exists, else 0
  std::string_view analyze;     // lets the planner know the tables' sizes; empty: it needs no help to page by key
  std::string_view lock_schema; // taken for the rest of the transaction by who migrates; empty: begin() locks enough
  char parameter = '$';

  std::string render(std::string_view sql) const;
};

// Text must be UTF-8 without NUL; bytes may be anything. Views must outlive the call they are given to.
struct SqlText {
  std::string_view value;
};
struct SqlBytes {
  std::string_view value;
};
using SqlValue = std::variant<std::monostate, std::int64_t, SqlText, SqlBytes>;

inline SqlValue sql_value(std::optional<std::int64_t> value) { return value ? SqlValue(*value) : SqlValue(); }
// Integers in the database are signed; nothing that a file system holds is larger.
inline SqlValue sql_value(std::uint64_t value) {
  return static_cast<std::int64_t>(value > INT64_MAX ? static_cast<std::uint64_t>(INT64_MAX) : value);
}

template <class Enum>
  requires std::is_enum_v<Enum>
SqlValue sql_value(Enum value) {
  return static_cast<std::int64_t>(value);
}

// The present row of a result; columns count from 0.
class SqlRow {
public:
  virtual ~SqlRow() = default;
  virtual bool is_null(int column) const = 0;
  virtual std::int64_t integer(int column) const = 0;
  virtual std::string_view bytes(int column) const = 0; // of text too; valid until the row sink returns

  std::string text(int column) const { return std::string(bytes(column)); }
  std::uint64_t count(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::optional<std::int64_t> maybe_integer(int column) const {
    return is_null(column) ? std::nullopt : std::optional(integer(column));
  }
};

using RowSink = std::function<void(const SqlRow&)>; // must not use the database
// Fills the parameters of row `index`; each starts as null. What the views point to lives until the next call.
using RowSource = std::function<void(std::size_t index, std::span<SqlValue> values)>;

// When a commit reaches stable storage: with `later` a power loss may undo it, a killed process does not.
enum class Flush { later, at_commit };

class SqlDatabase {
public:
  virtual ~SqlDatabase() = default;
  virtual const Dialect& dialect() const = 0;
  virtual std::string display() const = 0; // for messages; without secrets

  // A transaction that means to write. SQLite: no other process writes until it ends.
  virtual Result<void> begin(Flush flush = Flush::later) = 0;
  virtual Result<void> commit() = 0;
  virtual void rollback() = 0;

  // Runs one statement; gives the number of rows changed.
  virtual Result<std::uint64_t> execute(std::string_view sql, std::span<const SqlValue> values) = 0;
  virtual Result<void> query(std::string_view sql, std::span<const SqlValue> values, const RowSink& sink) = 0;
  // Runs one statement for each of `rows` rows of `columns` parameters, without a round trip for each.
  virtual Result<void> execute_many(std::string_view sql, std::size_t columns, std::size_t rows,
                                    const RowSource& source) = 0;
  // Adds rows in bulk. `columns`: the names, separated by commas.
  virtual Result<void> append(std::string_view table, std::string_view columns, std::size_t rows,
                              const RowSource& source) = 0;

  // After a failure: whether the transaction is certainly undone, and may be tried again now. Waits and reconnects
  // as needed; false when `attempt` (from 1) says that it has been tried often enough. With `repeatable` also true
  // where the connection was lost while committing, so that the transaction may have been done.
  virtual bool try_again(int attempt, bool repeatable) = 0;

  // Shorthands for a handful of parameters.
  template <class... Values> Result<std::uint64_t> run(std::string_view sql, const Values&... values) {
    const SqlValue list[] = {SqlValue(), SqlValue(values)...};
    return execute(sql, std::span(list).subspan(1));
  }
  template <class... Values> Result<void> select(const RowSink& sink, std::string_view sql, const Values&... values) {
    const SqlValue list[] = {SqlValue(), SqlValue(values)...};
    return query(sql, std::span(list).subspan(1), sink);
  }
};

inline constexpr std::size_t max_columns = 32; // of a statement's parameters

} // namespace checkvalve
