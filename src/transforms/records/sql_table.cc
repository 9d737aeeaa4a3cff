#include "transforms/records/sql_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "core/hash.h"
#include "core/path.h"

namespace checkvalve {
namespace {

// The whole file, a chunk at a time. The text says what was wrong, without the path.
std::string read_file(const std::string& path, const std::function<Result<void>(Chunk)>& take, Result<void>& taken) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  std::string problem;
  while (taken) {
    Chunk chunk = Chunk::allocate(Emit::default_chunk_bytes);
    const ssize_t got = ::read(fd, chunk.writable().data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = std::strerror(errno);
    if (got <= 0) break;
    chunk.narrow(0, static_cast<std::size_t>(got));
    taken = take(std::move(chunk));
  }
  ::close(fd);
  return problem;
}

class LookupConsumer : public RecordConsumer {
public:
  LookupConsumer(ScratchDatabase& database, const std::string& table) : loader_(database, table) {}
  Result<void> take(const Record& record, Emit&) override { return loader_.add(record); }
  Result<bool> end(const std::vector<std::string>& columns, Emit&) override {
    CV_CHECK(loader_.end(columns));
    return true;
  }

private:
  TableLoader loader_;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

} // namespace

Failure ScratchDatabase::failure(int code) const {
  if (code == SQLITE_FULL && !space->refusal().empty()) return transform_failure(space->refusal());
  if (code == SQLITE_FULL || code == SQLITE_IOERR)
    return transform_failure(
        fmt::format("cannot write temporary data ({}): set $TMPDIR to a larger disk", sqlite3_errmsg(handle.get())));
  return transform_failure(sqlite3_errmsg(handle.get()));
}

Result<void> TableLoader::add(const Record& record) {
  if (!insert_) {
    std::vector<std::string> names;
    for (const Field& field : record.fields) names.push_back(field.name);
    CV_CHECK(create(names));
  }
  if (!std::ranges::equal(record.fields, columns_, {}, &Field::name))
    return transform_failure("the record's columns differ from the first record's: name the columns with select");
  for (std::size_t i = 0; i < record.fields.size(); ++i)
    bind_sqlite(insert_.get(), static_cast<int>(i + 1), record.fields[i]);
  const int code = sqlite3_step(insert_.get());
  sqlite3_reset(insert_.get());
  if (code != SQLITE_DONE) return database_.failure(code);
  return {};
}

Result<void> TableLoader::end(const std::vector<std::string>& columns) {
  if (!insert_) {
    if (columns.empty()) return transform_failure("the file is empty and has no columns");
    CV_CHECK(create(columns));
  }
  insert_.reset();
  const int code = sqlite3_exec(database_.handle.get(), "COMMIT", nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return database_.failure(code);
  return {};
}

Result<void> TableLoader::create(const std::vector<std::string>& names) {
  std::string list;
  std::string places;
  for (const std::string& name : names) {
    list += (list.empty() ? "" : ", ") + quote_sqlite_name(name);
    places += places.empty() ? "?" : ", ?";
  }
  columns_ = names;
  const std::string table = quote_sqlite_name(table_);
  const std::string sql = fmt::format("CREATE TABLE {} ({}); BEGIN", table, list);
  if (sqlite3_exec(database_.handle.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return transform_failure(fmt::format("the table {}: {}", table_, sqlite3_errmsg(database_.handle.get())));
  CV_TRY(insert_, prepare_sqlite(database_.handle.get(), fmt::format("INSERT INTO {} VALUES ({})", table, places)));
  return {};
}

Result<std::vector<Lookup>> read_lookups(const std::vector<std::string>& options, std::uint64_t max_record_bytes) {
  std::vector<Lookup> lookups;
  for (const std::string& text : options) {
    const std::size_t equals = text.find('=');
    Lookup lookup{text.substr(0, equals), equals == text.npos ? "" : text.substr(equals + 1), {}, ""};
    if (equals == text.npos || !is_plain_name(lookup.table) || lookup.path.empty())
      return option_failure(
          fmt::format("lookup: expected table=path, got '{}' (table names consist of letters, digits and '_')", text));
    const auto same = [&](const Lookup& other) {
      return sqlite3_stricmp(other.table.c_str(), lookup.table.c_str()) == 0;
    };
    if (sqlite3_stricmp(lookup.table.c_str(), "input") == 0 || std::ranges::any_of(lookups, same))
      return option_failure(fmt::format("lookup: duplicate table '{}'", lookup.table));
    const std::string_view path = lookup.path;
    if (path.ends_with(".jsonl") || path.ends_with(".ndjson"))
      lookup.format.from = Format::jsonl;
    else if (path.ends_with(".tsv"))
      lookup.format.read.delimiter = '\t';
    else if (!path.ends_with(".csv"))
      return option_failure(fmt::format("lookup: '{}' must end with .csv, .tsv, .jsonl or .ndjson", lookup.path));
    lookup.format.max_record_bytes = max_record_bytes;
    Hasher hasher;
    Result<void> taken;
    const auto hash = [&](Chunk chunk) -> Result<void> {
      hasher.update(chunk.bytes());
      return {};
    };
    if (const std::string problem = read_file(lookup.path, hash, taken); !problem.empty())
      return option_failure(fmt::format("lookup: cannot read '{}' on this machine: {}", lookup.path, problem));
    lookup.digest = hasher.digest();
    lookups.push_back(std::move(lookup));
  }
  return lookups;
}

Result<void> load_lookup(const Lookup& lookup, ScratchDatabase& database) {
  const auto failed = [&](const std::string& why) {
    return transform_failure(fmt::format("lookup '{}': {}", escape_bytes(lookup.path), why));
  };
  CV_TRY(const std::unique_ptr<Stage> stage,
         make_record_stage(lookup.format, {lookup.path, lookup.path, std::nullopt},
                           std::make_unique<LookupConsumer>(database, lookup.table)));
  Emit nowhere;
  Hasher hasher;
  Result<void> taken;
  const auto load = [&](Chunk chunk) -> Result<void> {
    hasher.update(chunk.bytes());
    return stage->push(chunk, nowhere);
  };
  const std::string problem = read_file(lookup.path, load, taken);
  if (!problem.empty()) return failed(problem);
  if (!taken) return failed(taken.error().message);
  if (auto ended = stage->finish(nowhere); !ended) return failed(ended.error().message);
  if (hasher.digest() != lookup.digest) return failed("changed since the run began: run again");
  return {};
}

} // namespace checkvalve
