#include "transforms/records/sqlite.h"

#include <fmt/format.h>

#include <charconv>

namespace checkvalve {

Result<SqliteDatabase> open_sqlite(const char* name, const char* vfs) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name, &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs);
  SqliteDatabase database(raw);
  if (code != SQLITE_OK)
    return transform_failure(fmt::format("cannot open a temporary database: {}", sqlite3_errmsg(raw)));
  sqlite3_limit(raw, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  return database;
}

Result<SqliteStatement> prepare_sqlite(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()) + 1, &raw, nullptr) != SQLITE_OK)
    return transform_failure(sqlite3_errmsg(database));
  if (!raw) return transform_failure("the statement is empty");
  return SqliteStatement(raw);
}

std::string quote_sqlite_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void bind_sqlite(sqlite3_stmt* statement, int index, const Field& field) {
  const std::string& text = field.value;
  switch (field.kind) {
  case FieldKind::null: sqlite3_bind_null(statement, index); return;
  case FieldKind::boolean: sqlite3_bind_int(statement, index, text == "true"); return;
  case FieldKind::number: {
    std::int64_t whole = 0;
    const char* end = text.data() + text.size();
    if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc() && read.ptr == end) {
      sqlite3_bind_int64(statement, index, whole);
      return;
    }
    double value = 0;
    std::from_chars(text.data(), end, value);
    sqlite3_bind_double(statement, index, value);
    return;
  }
  case FieldKind::text:
  case FieldKind::json: break;
  }
  sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

} // namespace checkvalve
