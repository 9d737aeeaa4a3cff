// sql: the file as the table `input` of a temporary database on disk, and any SELECT over it.
#include <fmt/format.h>

#include "transforms/records/json_format.h"
#include "transforms/records/record_stages.h"
#include "transforms/records/records.h"
#include "transforms/records/sql_table.h"

namespace checkvalve {
namespace {

struct SqlSettings {
  FormatSettings format;
  std::string query;
  std::vector<Lookup> lookups;
  std::uint64_t cache_bytes = 0;
  ScratchLimits limits;
};

// Opened with an empty name, the database is a file without a name. It is never read again, so nothing is journaled or
// synced.
Result<ScratchDatabase> open_scratch(const SqlSettings& settings, const FileContext& file) {
  ScratchDatabase database;
  // Rows take about as much as their text, if all columns are kept.
  const std::uint64_t expected_bytes = settings.format.steps.selected.empty() ? file.size_bytes.value_or(0) : 0;
  CV_TRY(database.space, ScratchSpace::make(settings.limits, expected_bytes));
  CV_TRY(database.handle, open_sqlite("", database.space->vfs_name()));
  const std::string pragmas =
      fmt::format("PRAGMA page_size=4096; PRAGMA cache_size=-{}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
                  "PRAGMA temp_store=FILE; PRAGMA threads=0",
                  settings.cache_bytes / 1024);
  if (const int code = sqlite3_exec(database.handle.get(), pragmas.c_str(), nullptr, nullptr, nullptr);
      code != SQLITE_OK)
    return database.failure(code);
  for (const Lookup& lookup : settings.lookups) CV_CHECK(load_lookup(lookup, database));
  return database;
}

class SqlConsumer : public RecordConsumer {
public:
  SqlConsumer(const SqlSettings& settings, ScratchDatabase database)
      : settings_(settings), database_(std::move(database)), input_(database_, "input") {}

  Result<void> take(const Record& record, Emit&) override { return input_.add(record); }

  Result<bool> end(const std::vector<std::string>& columns, Emit& out) override {
    if (!query_) {
      CV_CHECK(input_.end(columns));
      auto query = prepare_sqlite(database_.handle.get(), settings_.query);
      if (!query) return transform_failure("query: " + query.error().message);
      query_ = std::move(*query);
      write_header(out);
    }
    while (!out.full()) {
      const int code = sqlite3_step(query_.get());
      if (code == SQLITE_DONE) return true;
      if (code != SQLITE_ROW) return transform_failure("query: " + database_.failure(code).error().message);
      CV_CHECK(write_row(out));
    }
    return false;
  }

private:
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
  ScratchDatabase database_; // outlives the statements
  TableLoader input_;
  SqliteStatement query_;
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
  std::string fingerprint() const override {
    std::string digests;
    for (const Lookup& lookup : settings_.lookups) digests += lookup.digest + " ";
    return digests;
  }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    CV_TRY(ScratchDatabase database, open_scratch(settings_, file));
    return make_record_stage(settings_.format, file, std::make_unique<SqlConsumer>(settings_, std::move(database)));
  }

private:
  const SqlSettings settings_;
};

constexpr OptionSpec sql_options[] = {
    {"query", OptionType::text, "",
     "a SELECT (SQLite) over the table `input`; required. Columns are text unless cast, but sum(amount) is a number "
     "all "
     "the same"},
    {"from", OptionType::text, "csv", "input format: csv or jsonl"},
    {"to", OptionType::text, "csv", "output format: csv or jsonl"},
    {"delimiter", OptionType::text, ",", "CSV delimiter of input and output: a single character, or tab"},
    {"header", OptionType::boolean, "yes",
     "CSV input and output begin with the column names; otherwise they are c1, c2, …"},
    {"cast", OptionType::list, "",
     "JSON array of 'column:type', type integer, number, boolean or text; an empty value becomes null"},
    {"select", OptionType::list, "", "columns of the table; default: those of the first record"},
    {"rejects", OptionType::boolean, "no",
     "write records that do not conform to a side file (.rejects) instead of failing the file"},
    {"cache", OptionType::size, "4MiB", "memory for the database of each file in flight; sorting needs as much again"},
    {"lookup", OptionType::list, "",
     "JSON array of 'table=path': further tables for joins, from files on the machine that runs checkvalve: .csv (with "
     "a header), .tsv, .jsonl; files are transferred again when it changes"},
    {"max_disk", OptionType::size, "10GiB",
     "maximum disk space in $TMPDIR for the tables and the query's temporary data of each file"},
    {"min_free", OptionType::size, "256MiB", "disk space that must remain free there"},
    {"max_record", OptionType::size, "1MiB", "maximum length of a record"},
};

} // namespace

const TransformDescriptor sql_transform = {
    .name = "sql",
    .summary = "runs a SELECT over the file as the table `input`: aggregates, sorting, distinct, larger than memory",
    .renames = "if from and to differ, the suffix becomes .csv or .jsonl",
    .stage_class = StageClass::spilling,
    .options = sql_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      SqlSettings s;
      s.query = options.text("query");
      if (s.query.empty())
        return option_failure(
            "missing query; for example sql query='SELECT country, sum(amount) FROM input GROUP BY country'");
      for (const auto& [name, format] : {std::pair{"from", &s.format.from}, std::pair{"to", &s.format.to}}) {
        const std::string word = options.text(name);
        if (word != "csv" && word != "jsonl")
          return option_failure(fmt::format("invalid value '{1}' for {0}: expected csv or jsonl", name, word));
        *format = word == "csv" ? Format::csv : Format::jsonl;
      }
      CV_TRY(s.format.read.delimiter, read_character(options, "delimiter"));
      s.format.written = s.format.read;
      s.format.header = options.boolean("header");
      s.format.max_record_bytes = options.number("max_record");
      CV_TRY(s.format.steps, RecordSettings::read(options));
      s.cache_bytes = options.number("cache");
      s.limits = {options.number("max_disk"), options.number("min_free")};
      CV_TRY(s.lookups, read_lookups(options.list("lookup"), s.format.max_record_bytes));
      CV_TRY(const SqliteDatabase database, open_sqlite(":memory:"));
      while (s.query.ends_with(';') || s.query.ends_with(' ') || s.query.ends_with('\n')) s.query.pop_back();
      // Only a SELECT can stand in parentheses, and only one.
      auto form = prepare_sqlite(database.get(), "SELECT * FROM (" + s.query + "\n)");
      const std::string problem = form ? "" : form.error().message;
      if (!form && !problem.starts_with("no such table") && !problem.starts_with("no such column"))
        return option_failure("query must be a single SELECT: " + problem);
      return std::make_shared<Sql>(std::move(s));
    },
};

} // namespace checkvalve
