// RecordSteps: what is done with each record between reading and writing it, the same for CSV and JSON lines.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/secret.h"
#include "transforms/records/record.h"
#include "transforms/records/sqlite.h"
#include "transforms/text/regex.h"

namespace checkvalve {

enum class CastType : std::uint8_t { text, integer, number, boolean };

struct RecordSettings {
  struct Pair {
    std::string name;
    std::string value;
  };
  struct Cast {
    std::string name;
    CastType type;
  };
  std::vector<Cast> casts;
  struct Match {
    std::string name;
    std::shared_ptr<const re2::RE2> pattern;
  };
  std::vector<std::string> expected; // the columns of each record, in this order; empty: any
  std::vector<std::string> required;
  std::vector<Match> matches;
  std::vector<std::string> checks; // SQL expressions that must be true
  std::string filter;
  std::vector<std::string> masked;
  std::vector<std::string> hashed;
  Secret key; // of hashed
  std::vector<Pair> added;
  std::vector<Pair> renamed;
  std::vector<std::string> selected; // empty: all
  std::vector<std::string> dropped;
  bool reject = false; // records that don't fit go to the side file instead of failing the file

  static Result<RecordSettings> read(const OptionValues& options);
};

// For the descriptors of csv and jsonl.
#define CHECKVALVE_RECORD_OPTIONS                                                                                      \
  {"cast", OptionType::list, "",                                                                                       \
   "JSON array of 'column:type', type integer, number, boolean or text; an empty value becomes null"},                 \
      {"expect", OptionType::list, "", "the exact columns of each record, in this order"},                             \
      {"required", OptionType::list, "", "columns that must be present and not empty"},                                \
      {"match", OptionType::list, "",                                                                                  \
       "JSON array of 'column=regular expression' that the whole value must match (RE2); empty values pass"},          \
      {"check", OptionType::list, "",                                                                                  \
       "JSON array of SQL expressions over the columns (SQLite) that must be true for each record, after `cast`"},     \
      {"filter", OptionType::text, "",                                                                                 \
       "SQL expression over the columns (SQLite); only records for which it is true pass"},                            \
      {"mask", OptionType::list, "", "columns to mask: letters become x, digits become 0"},                            \
      {"hash", OptionType::list, "",                                                                                   \
       "columns to replace by their HMAC-SHA-256 with the key; empty values stay empty"},                              \
      {"key_file", OptionType::path, "", "file with the key for `hash`, at least 16 bytes"},                           \
      {"key_env", OptionType::text, "", "environment variable with the key for `hash`"},                               \
      {"add", OptionType::list, "",                                                                                    \
       "JSON array of 'column=value'; a value may contain {path} and {line} of the record, "                           \
       "and the {date} of --date"},                                                                                    \
      {"rename_columns", OptionType::list, "", "JSON array of 'old=new'"},                                             \
      {"select", OptionType::list, "", "columns to write, in this order; applied after all of the above"},             \
      {"drop", OptionType::list, "", "columns to omit from the output"},                                               \
      {"rejects", OptionType::boolean, "no",                                                                           \
       "write records that do not conform to a side file (.rejects) instead of failing the file"}

class RecordSteps {
public:
  RecordSteps(const RecordSettings& settings, std::string path) : settings_(settings), path_(std::move(path)) {}
  // Changes the record; false if it is filtered out. Error kind transform, without the line.
  Result<bool> apply(Record& record);

private:
  Result<void> cast(Record& record) const;
  Result<void> validate(const Record& record) const;
  // The number, from 1, of the first expression that is not true: the checks, then the filter. 0: all are.
  Result<std::size_t> first_untrue(const Record& record);
  Result<void> hide(Record& record) const;
  void add(Record& record) const;
  Result<void> choose(Record& record) const;

  const RecordSettings& settings_;
  const std::string path_;
  SqliteDatabase database_; // for expressions; made with the first record
  SqliteStatement expressions_;
  std::vector<std::string> expression_names_; // columns that expressions_ was prepared for
};

} // namespace checkvalve
