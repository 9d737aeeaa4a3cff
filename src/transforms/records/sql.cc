// sql: the file as the table `input` of a temporary database on disk, and any SELECT over it.
#include <fmt/format.h>

#include "transforms/records/json_format.h"
#include "transforms/records/record_stages.h"
#include "transforms/records/records.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t page_bytes = 4096;

struct SqlSettings {
  FormatSettings format;
  std::string query;
  std::uint64_t cache_bytes = 0;
  std::uint64_t max_disk_bytes = 0;
};

// Opened with an empty name, the database is a file without a name: it is gone with its handle, however the process
// ends. It is never read again, so nothing is journaled or synced.
Result<SqliteDatabase> open_scratch(const SqlSettings& settings) {
  CV_TRY(SqliteDatabase database, open_sqlite(""));
  const std::string pragmas = fmt::format(
      "PRAGMA page_size={}; PRAGMA cache_size=-{}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
      "PRAGMA temp_store=FILE; PRAGMA max_page_count={}; PRAGMA threads=0",
      page_bytes, settings.cache_bytes / 1024, std::max<std::uint64_t>(settings.max_disk_bytes / page_bytes, 16));
  if (sqlite3_exec(database.get(), pragmas.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return transform_failure(fmt::format("the temporary database: {}", sqlite3_errmsg(database.get())));
  return database;
}

class SqlConsumer : public RecordConsumer {
public:
  SqlConsumer(const SqlSettings& settings, SqliteDatabase database)
      : settings_(settings), database_(std::move(database)) {}

  Result<void> take(const Record& record, Emit&) override {
    if (!insert_) {
      std::vector<std::string> names;
      for (const Field& field : record.fields) names.push_back(field.name);
      CV_CHECK(create(names));
    }
    if (!std::ranges::equal(record.fields, columns_, {}, &Field::name))
      return transform_failure("the record has other columns than the first one: name them with select");
    for (std::size_t i = 0; i < record.fields.size(); ++i)
      bind_sqlite(insert_.get(), static_cast<int>(i + 1), record.fields[i]);
    const int code = sqlite3_step(insert_.get());
    sqlite3_reset(insert_.get());
    if (code != SQLITE_DONE) return failure(code);
    return {};
  }

  Result<bool> end(const std::vector<std::string>& columns, Emit& out) override {
    if (!query_) {
      if (!insert_) {
        if (columns.empty()) return transform_failure("the file is empty: it has no columns");
        CV_CHECK(create(columns));
      }
      insert_.reset();
      sqlite3_exec(database_.get(), "COMMIT", nullptr, nullptr, nullptr);
      auto query = prepare_sqlite(database_.get(), settings_.query);
      if (!query) return transform_failure("query: " + query.error().message);
      query_ = std::move(*query);
      write_header(out);
    }
    while (!out.full()) {
      const int code = sqlite3_step(query_.get());
      if (code == SQLITE_DONE) return true;
      if (code != SQLITE_ROW) return failure(code);
      CV_CHECK(write_row(out));
    }
    return false;
  }

private:
  Result<void> create(const std::vector<std::string>& names) {
    std::string list;
    std::string places;
    for (const std::string& name : names) {
      list += (list.empty() ? "" : ", ") + quote_sqlite_name(name);
      places += places.empty() ? "?" : ", ?";
    }
    columns_ = names;
    if (sqlite3_exec(database_.get(), ("CREATE TABLE input (" + list + "); BEGIN").c_str(), nullptr, nullptr,
                     nullptr) != SQLITE_OK)
      return transform_failure(fmt::format("the table input: {}", sqlite3_errmsg(database_.get())));
    CV_TRY(insert_, prepare_sqlite(database_.get(), "INSERT INTO input VALUES (" + places + ")"));
    return {};
  }

  Failure failure(int code) const {
    if (code == SQLITE_FULL)
      return Failure(make_error(ErrorKind::transform, "", "",
                                fmt::format("the temporary database is full: max_disk={} bytes, or the disk of $TMPDIR",
                                            settings_.max_disk_bytes)));
    return transform_failure(fmt::format("query: {}", sqlite3_errmsg(database_.get())));
  }

  void write_header(Emit& out) const {
    if (settings_.format.to != Format::csv || !settings_.format.header) return;
    for (int i = 0; i < sqlite3_column_count(query_.get()); ++i) {
      if (i != 0) out.write(settings_.format.written.delimiter);
      write_csv_field(sqlite3_column_name(query_.get(), i), settings_.format.written, out);
    }
    out.write(settings_.format.written.newline);
  }

  Result<void> write_row(Emit& out) {
    const int count = sqlite3_column_count(query_.get());
    if (settings_.format.to == Format::jsonl) {
      row_.fields.resize(static_cast<std::size_t>(count));
      for (int i = 0; i < count; ++i) row_.fields[static_cast<std::size_t>(i)] = field(i);
      line_.clear();
      CV_CHECK(append_json_record(row_, line_));
      out.write(line_);
      out.write('\n');
      return {};
    }
    for (int i = 0; i < count; ++i) {
      if (i != 0) out.write(settings_.format.written.delimiter);
      const std::string_view text = column_text(i);
      if (text.empty() && count == 1) out.write("\"\"");
      write_csv_field(text, settings_.format.written, out);
    }
    out.write(settings_.format.written.newline);
    return {};
  }

  std::string_view column_text(int i) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(query_.get(), i));
    return text ? std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(query_.get(), i)))
                : std::string_view();
  }

  Field field(int i) const {
    Field out{sqlite3_column_name(query_.get(), i), "null", FieldKind::null};
    const int type = sqlite3_column_type(query_.get(), i);
    if (type == SQLITE_NULL) return out;
    out.kind = type == SQLITE_INTEGER || type == SQLITE_FLOAT ? FieldKind::number : FieldKind::text;
    out.value = column_text(i);
    if (out.value == "Inf" || out.value == "-Inf") out.kind = FieldKind::text; // JSON has no such number
    return out;
  }

  const SqlSettings& settings_;
  SqliteDatabase database_; // outlives the statements
  SqliteStatement insert_;
  SqliteStatement query_;
  std::vector<std::string> columns_;
  Record row_;
  std::string line_;
};

class Sql : public Transform {
public:
  explicit Sql(SqlSettings settings) : settings_(std::move(settings)) {}
  std::string rename(std::string_view name) const override {
    if (settings_.format.from == settings_.format.to) return std::string(name);
    for (const std::string_view suffix : {".csv", ".tsv", ".jsonl", ".ndjson"})
      if (name.size() > suffix.size() && name.ends_with(suffix)) name.remove_suffix(suffix.size());
    return std::string(name) + (settings_.format.to == Format::csv ? ".csv" : ".jsonl");
  }
  std::vector<std::string> side_suffixes() const override {
    return settings_.format.steps.reject ? std::vector<std::string>{".rejects"} : std::vector<std::string>{};
  }
  // The database's cache, once more for what sorts, and the record on its way in.
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override {
    return 2 * settings_.cache_bytes + 6 * settings_.format.max_record_bytes;
  }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    CV_TRY(SqliteDatabase database, open_scratch(settings_));
    return make_record_stage(settings_.format, file, std::make_unique<SqlConsumer>(settings_, std::move(database)));
  }

private:
  const SqlSettings settings_;
};

constexpr OptionSpec sql_options[] = {
    {"query", OptionType::text, "",
     "a SELECT (SQLite) over the table `input`; required. Columns are text unless cast: sum(amount) is a number all "
     "the same"},
    {"from", OptionType::text, "csv", "what is read: csv or jsonl"},
    {"to", OptionType::text, "csv", "what is written: csv or jsonl"},
    {"delimiter", OptionType::text, ",", "of CSV, read and written: one character, or tab"},
    {"header", OptionType::boolean, "yes",
     "CSV, read and written, begins with the names of the columns; else they are c1, c2, …"},
    {"cast", OptionType::list, "",
     "JSON array of 'column:type', type integer, number, boolean or text; an empty one becomes null"},
    {"select", OptionType::list, "", "columns that the table gets; else all of the first record"},
    {"rejects", OptionType::boolean, "no",
     "records that don't fit go to a file beside the target's (.rejects) instead of failing it"},
    {"cache", OptionType::size, "4MiB", "memory for the database of each file in flight; sorting takes as much again"},
    {"max_disk", OptionType::size, "10GiB", "the file is refused if its table needs more space than this in $TMPDIR"},
    {"max_record", OptionType::size, "1MiB", "a longer record is refused"},
};

} // namespace

const TransformDescriptor sql_transform = {
    .name = "sql",
    .summary = "runs a SELECT over the file as the table `input`: aggregates, sorting, distinct, larger than memory",
    .stage_class = StageClass::spilling,
    .options = sql_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      SqlSettings s;
      s.query = options.text("query");
      if (s.query.empty())
        return option_failure(
            "sql needs a query, e.g. sql query='SELECT country, sum(amount) FROM input GROUP BY country'");
      for (const auto& [name, format] : {std::pair{"from", &s.format.from}, std::pair{"to", &s.format.to}}) {
        const std::string word = options.text(name);
        if (word != "csv" && word != "jsonl")
          return option_failure(fmt::format("{} is '{}', but must be csv or jsonl", name, word));
        *format = word == "csv" ? Format::csv : Format::jsonl;
      }
      CV_TRY(s.format.read.delimiter, read_character(options, "delimiter"));
      s.format.written = s.format.read;
      s.format.header = options.boolean("header");
      s.format.max_record_bytes = options.number("max_record");
      CV_TRY(s.format.steps, RecordSettings::read(options));
      s.cache_bytes = options.number("cache");
      s.max_disk_bytes = options.number("max_disk");
      CV_TRY(const SqliteDatabase database, open_sqlite(":memory:"));
      while (s.query.ends_with(';') || s.query.ends_with(' ') || s.query.ends_with('\n')) s.query.pop_back();
      // Only a SELECT can stand in parentheses, and only one.
      auto form = prepare_sqlite(database.get(), "SELECT * FROM (" + s.query + "\n)");
      const std::string problem = form ? "" : form.error().message;
      if (!form && !problem.starts_with("no such table") && !problem.starts_with("no such column"))
        return option_failure("query must be one SELECT: " + problem);
      return std::make_shared<Sql>(std::move(s));
    },
};

} // namespace checkvalve
