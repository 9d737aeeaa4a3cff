// Steps that several stores share, each inside a transaction.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "state/database.h"
#include "state/records.h"

namespace checkvalve {

// cv_failures.file of failures that no planned file has.
inline constexpr std::int64_t failed_planning = 0;
inline constexpr std::int64_t failed_list = -1; // the list of checksums

template <class T> struct IsOptional : std::false_type {};
template <class T> struct IsOptional<std::optional<T>> : std::true_type {};

// Null is 0, an empty text, or nothing in an optional.
template <class T> void read_column(const SqlRow& row, int column, T& field) {
  if constexpr (IsOptional<T>::value) {
    field.reset();
    if (!row.is_null(column)) read_column(row, column, field.emplace());
  } else if constexpr (std::is_same_v<T, std::string>) {
    field = row.bytes(column);
  } else {
    field = row.is_null(column) ? T{} : static_cast<T>(row.integer(column));
  }
}

// Reads the columns of a row in their order.
template <class... Fields> void read_row(const SqlRow& row, Fields&... fields) {
  int column = 0;
  (read_column(row, column++, fields), ...);
}

// All rows, each read into a record by `read(row, record)`.
template <class Record, class Read, class... Values>
Result<std::vector<Record>> select_records(SqlDatabase& database, Read read, std::string_view sql,
                                           const Values&... values) {
  std::vector<Record> found;
  CV_CHECK(database.select([&](const SqlRow& row) { read(row, found.emplace_back()); }, sql, values...));
  return found;
}

struct FailureRow {
  std::uint32_t batch = 0;
  std::int64_t file = failed_planning; // or the planned file's number
  std::string_view path;
  const Error* error = nullptr;
};

Result<void> append_failures(SqlDatabase& database, const std::string& plan, std::span<const FailureRow> rows);
// Locks the plan's row. Kind state if there is no such plan.
Result<void> lock_plan(SqlDatabase& database, const std::string& plan, std::string_view operation);
// The number of a pair, given to it when it is first asked for.
Result<std::int64_t> pair_number(SqlDatabase& database, const PairKey& pair);
// cv_pairs.pair of a pair of identities. No other pair has it, nor has one that is known by display names only: those
// begin with a scheme or a '/'.
std::string pair_text(const PairKey& pair);

} // namespace checkvalve
