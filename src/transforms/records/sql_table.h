// Tables of the temporary database of `sql`: the file's own, and those that its query may join, from lookup files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "transforms/records/record_stages.h"
#include "transforms/records/scratch_space.h"

namespace checkvalve {

// A database with the space that its files are counted in.
struct ScratchDatabase {
  std::unique_ptr<ScratchSpace> space; // outlives the handle
  SqliteDatabase handle;
  // What SQLite's code means here. Kind transform.
  Failure failure(int code) const;
};

// Takes records as the rows of a table, which gets its columns from the first record.
class TableLoader {
public:
  TableLoader(ScratchDatabase& database, std::string table) : database_(database), table_(std::move(table)) {}
  // Error kind transform, without the line.
  Result<void> add(const Record& record);
  // After the last record; `columns` make the table if there was none.
  Result<void> end(const std::vector<std::string>& columns);

private:
  Result<void> create(const std::vector<std::string>& names);

  ScratchDatabase& database_;
  const std::string table_;
  SqliteStatement insert_;
  std::vector<std::string> columns_;
};

// A file on the machine that runs the engine, as a further table. CSV with a header, TSV, or JSON lines, by its suffix.
struct Lookup {
  std::string table;
  std::string path;
  FormatSettings format;
  std::string digest; // of its content when the job was read
};

// Reads "table=path" of each and the files' content once, for the digest. Error kind config.
Result<std::vector<Lookup>> read_lookups(const std::vector<std::string>& options, std::uint64_t max_record_bytes);
// Kind transform if the file can't be read or is not the one that it was.
Result<void> load_lookup(const Lookup& lookup, ScratchDatabase& database);

} // namespace checkvalve
