// A small hold on SQLite for transforms: databases of their own, never the state's.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "transforms/records/record.h"
#include "transforms/transform.h"

namespace checkvalve {

struct SqliteClose {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteDatabase = std::unique_ptr<sqlite3, SqliteClose>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteClose>;

// Opens ":memory:", or "" for a temporary file that is gone with the handle, on the named VFS. Nothing outside of it
// can be attached.
Result<SqliteDatabase> open_sqlite(const char* name, const char* vfs = nullptr);
Result<SqliteStatement> prepare_sqlite(sqlite3* database, const std::string& sql);
std::string quote_sqlite_name(std::string_view name);
// Binds a field; the bytes must stay until the statement is reset.
void bind_sqlite(sqlite3_stmt* statement, int index, const Field& field);

} // namespace checkvalve
