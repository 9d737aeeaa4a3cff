#include "transforms/records/csv_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "transforms/transform.h"

namespace checkvalve {

void CsvParser::begin_row() {
  row_.count = 0;
  row_.raw.clear();
  row_.line = line_;
  field().clear();
  at_ = At::field_start;
  done_ = false;
}

Result<bool> CsvParser::take(std::string_view& text) {
  if (done_) begin_row();
  std::size_t i = 0;
  bool whole = false;
  while (i < text.size() && !whole) {
    const char c = text[i];
    if (at_ == At::quoted) {
      const std::size_t end = std::min(text.find(dialect_.quote, i), text.size());
      const std::string_view part = text.substr(i, end - i);
      line_ += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
      field() += part;
      i = end;
      if (i < text.size()) {
        at_ = At::after_quote;
        ++i;
      }
    } else if (at_ == At::after_quote && c == dialect_.quote) {
      field() += c; // was doubled
      at_ = At::quoted;
      ++i;
    } else if (c == dialect_.delimiter) {
      end_field();
      ++i;
    } else if (c == '\n') {
      ++i;
      ++line_;
      row_.raw += text.substr(0, i);
      text.remove_prefix(i);
      i = 0;
      whole = end_row();
      if (!whole) begin_row(); // an empty line
    } else if (at_ == At::field_start && dialect_.quote != 0 && c == dialect_.quote) {
      at_ = At::quoted;
      ++i;
    } else if (at_ == At::after_quote && c != '\r') {
      return transform_failure(
          fmt::format("line {}: text after the closing quote of column {}", line_, row_.count + 1));
    } else {
      // Plain text up to what may end it; a quote inside of it is itself, a CR belongs to the newline if one follows.
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != dialect_.delimiter && text[end] != '\n') ++end;
      field() += text.substr(i, end - i);
      if (at_ != At::after_quote) at_ = At::plain;
      i = end;
    }
    if (row_.raw.size() + i > max_record_bytes_)
      return transform_failure(
          fmt::format("line {}: the record is longer than max_record={} bytes (unterminated quote?)", row_.line,
                      max_record_bytes_));
  }
  row_.raw += text.substr(0, i);
  text.remove_prefix(i);
  return whole;
}

// False for an empty line.
bool CsvParser::end_row() {
  std::string& last = field();
  if (last.ends_with('\r')) last.pop_back();
  const bool empty = row_.count == 0 && last.empty() && at_ != At::after_quote;
  ++row_.count;
  done_ = !empty;
  return !empty;
}

Result<bool> CsvParser::finish() {
  if (done_) return false;
  if (at_ == At::quoted)
    return transform_failure(
        fmt::format("line {}: the file ends inside a quoted field of the record that begins here", row_.line));
  return end_row();
}

void write_csv_field(std::string_view value, const CsvDialect& dialect, Emit& out) {
  const bool quoted = dialect.quote != 0 &&
                      value.find_first_of(std::string{dialect.delimiter, dialect.quote, '\n', '\r'}) != value.npos;
  if (!quoted) return out.write(value);
  out.write(dialect.quote);
  while (true) {
    const std::size_t at = value.find(dialect.quote);
    out.write(value.substr(0, at));
    if (at == value.npos) break;
    out.write(dialect.quote);
    out.write(dialect.quote);
    value.remove_prefix(at + 1);
  }
  out.write(dialect.quote);
}

} // namespace checkvalve
