// Stages that read records: CSV or JSON lines in, steps, and a consumer that writes or keeps what passes.
#pragma once

#include <memory>

#include "transforms/records/csv_format.h"
#include "transforms/records/record_steps.h"
#include "transforms/transform.h"

namespace checkvalve {

enum class Format : std::uint8_t { csv, jsonl };

struct FormatSettings {
  Format from = Format::csv;
  Format to = Format::csv;
  CsvDialect read;
  CsvDialect written;
  bool header = true;               // the first row of CSV names the columns; written CSV has one too
  std::vector<std::string> columns; // without a header: names
  std::uint64_t max_record_bytes = 0;
  RecordSettings steps;
};

// Takes the records of one file.
class RecordConsumer {
public:
  virtual ~RecordConsumer() = default;
  // Error kind transform, without the line.
  virtual Result<void> take(const Record& record, Emit& out) = 0;
  // After the last record. `columns`: of the input, as far as they are known. False: `out` is full, call again.
  virtual Result<bool> end(const std::vector<std::string>& columns, Emit& out) = 0;
};

// Records that don't fit go to side file 0, if settings.steps.reject. `settings` must outlive the stage.
Result<std::unique_ptr<Stage>> make_record_stage(const FormatSettings& settings, const FileContext& file,
                                                 std::unique_ptr<RecordConsumer> consumer);

// One character, "tab", or for `quote` "none". Kind config.
Result<char> read_character(const OptionValues& options, std::string_view name);

} // namespace checkvalve
