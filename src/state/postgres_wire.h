// Values in PostgreSQL's binary formats (integers big-endian, byte strings as they are), for parameters, results and
// COPY. See "Frontend/Backend Protocol" and COPY's "Binary Format" in PostgreSQL's manual.
#pragma once

#include <libpq-fe.h>

#include <span>
#include <string>
#include <vector>

#include "state/database.h"

namespace checkvalve {

// The parameters of one statement, as libpq takes them.
class PostgresParameters {
public:
  explicit PostgresParameters(std::span<const SqlValue> values);
  int count() const { return static_cast<int>(values_.size()); }
  const Oid* types() const { return types_.data(); }
  const char* const* values() const { return values_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

private:
  std::vector<Oid> types_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::vector<std::uint64_t> integers_; // big-endian; values_ points into it
};

// A row of a result in binary format.
class PostgresRow final : public SqlRow {
public:
  PostgresRow(const PGresult* result, int row) : result_(result), row_(row) {}
  bool is_null(int column) const override { return PQgetisnull(result_, row_, column) != 0; }
  std::int64_t integer(int column) const override; // of BIGINT or INTEGER
  std::string_view bytes(int column) const override;

private:
  const PGresult* result_;
  int row_;
};

// COPY … (FORMAT binary): a header, rows, an end.
void append_copy_header(std::string& out);
void append_copy_row(std::string& out, std::span<const SqlValue> values);
void append_copy_end(std::string& out);

} // namespace checkvalve
