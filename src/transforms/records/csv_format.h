// CSV as RFC 4180 has it, with dialects: a parser that takes any split of its input, and a writer.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "transforms/emit.h"

namespace checkvalve {

struct CsvDialect {
  char delimiter = ',';
  char quote = '"';           // 0: none; a quote in a quoted field is doubled
  std::string newline = "\n"; // of what is written; read are LF, CRLF and both mixed
};

struct CsvRow {
  std::vector<std::string> fields; // may hold more than `count`: their memory is used again
  std::size_t count = 0;
  std::string raw;        // as it stood in the input, with its newline
  std::uint64_t line = 1; // at which it begins
};

class CsvParser {
public:
  CsvParser(const CsvDialect& dialect, std::uint64_t max_record_bytes)
      : dialect_(dialect), max_record_bytes_(max_record_bytes) {}

  // Takes from the front of `text` up to the end of one row. True: row() is whole; false: all was taken, more is
  // needed. An empty line is not a row. Error kind transform, with the line.
  Result<bool> take(std::string_view& text);
  // At the end of the input: true if there is a last row without a newline.
  Result<bool> finish();
  const CsvRow& row() const { return row_; }

private:
  enum class At : std::uint8_t { field_start, plain, quoted, after_quote };
  void begin_row();
  std::string& field() {
    if (row_.fields.size() == row_.count) row_.fields.emplace_back();
    return row_.fields[row_.count];
  }
  void end_field() {
    field();
    if (++row_.count == row_.fields.size()) row_.fields.emplace_back();
    row_.fields[row_.count].clear();
    at_ = At::field_start;
  }
  bool end_row();

  const CsvDialect dialect_;
  const std::uint64_t max_record_bytes_;
  CsvRow row_;
  At at_ = At::field_start;
  bool done_ = true; // row_ was given out, or nothing was taken yet
  std::uint64_t line_ = 1;
};

// Writes one field, quoted where it must be.
void write_csv_field(std::string_view value, const CsvDialect& dialect, Emit& out);

} // namespace checkvalve
