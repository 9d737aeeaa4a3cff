// csv and jsonl: records read, worked on and written, in either format.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "transforms/records/json_format.h"
#include "transforms/records/record_stages.h"
#include "transforms/records/records.h"

namespace checkvalve {
namespace {

// Writes records in the format that is asked for.
class RecordWriter : public RecordConsumer {
public:
  explicit RecordWriter(const FormatSettings& settings) : settings_(settings) {}

  Result<void> take(const Record& record, Emit& out) override {
    if (settings_.to == Format::jsonl) {
      line_.clear();
      CV_CHECK(append_json_record(record, line_));
      line_ += '\n';
      out.write(line_);
      return {};
    }
    if (!header_written_) write_header(record, out);
    if (!std::ranges::equal(record.fields, header_, {}, &Field::name))
      return transform_failure(fmt::format("the record's columns differ from the first record's, but CSV needs the "
                                           "same columns in each record: name them "
                                           "with select ({} here, {} there)",
                                           record.fields.size(), header_.size()));
    for (const Field& field : record.fields) {
      if (&field != &record.fields.front()) out.write(settings_.written.delimiter);
      if (field.kind != FieldKind::null) write_csv_field(field.value, settings_.written, out);
    }
    // A row of one empty field would read as an empty line.
    if (record.fields.size() == 1 && (record.fields[0].value.empty() || record.fields[0].kind == FieldKind::null))
      out.write("\"\"");
    out.write(settings_.written.newline);
    return {};
  }

  // A file of no records has a header all the same.
  Result<bool> end(const std::vector<std::string>& columns, Emit& out) override {
    if (settings_.to != Format::csv || !settings_.header || header_written_ || columns.empty()) return true;
    Record empty;
    for (const std::string& name : columns) empty.fields.push_back({name, "", FieldKind::text});
    RecordSettings names_only;
    names_only.expected = settings_.steps.expected;
    names_only.added = settings_.steps.added;
    names_only.renamed = settings_.steps.renamed;
    names_only.selected = settings_.steps.selected;
    names_only.dropped = settings_.steps.dropped;
    RecordSteps steps(names_only, "");
    CV_TRY(const bool passes, steps.apply(empty));
    if (passes) write_header(empty, out);
    return true;
  }

private:
  void write_header(const Record& record, Emit& out) {
    header_written_ = true;
    for (const Field& field : record.fields) header_.push_back(field.name);
    if (!settings_.header) return;
    for (const std::string& name : header_) {
      if (&name != &header_.front()) out.write(settings_.written.delimiter);
      write_csv_field(name, settings_.written, out);
    }
    out.write(settings_.written.newline);
  }

  const FormatSettings& settings_;
  bool header_written_ = false;
  std::vector<std::string> header_; // of what is written as CSV
  std::string line_;
};

class Records : public Transform {
public:
  explicit Records(FormatSettings settings) : settings_(std::move(settings)) {}
  std::string rename(std::string_view name) const override {
    if (settings_.from == settings_.to) return std::string(name);
    for (const std::string_view suffix : {".csv", ".tsv", ".jsonl", ".ndjson"})
      if (name.size() > suffix.size() && name.ends_with(suffix)) name.remove_suffix(suffix.size());
    return std::string(name) + (settings_.to == Format::csv ? ".csv" : ".jsonl");
  }
  std::vector<std::string> side_suffixes() const override {
    return settings_.steps.reject ? std::vector<std::string>{".rejects"} : std::vector<std::string>{};
  }
  // The record as it stood, its fields, and what is written of it, with room for escapes.
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    return 6 * std::min(settings_.max_record_bytes, size_bytes.value_or(settings_.max_record_bytes)) +
           (settings_.steps.filter.empty() && settings_.steps.checks.empty() ? 0 : 512 << 10);
  }
  // The key must not be recoverable: a few bits of its digest reveal a change.
  std::string fingerprint() const override {
    if (settings_.steps.key.empty()) return "";
    unsigned char digest[EVP_MAX_MD_SIZE];
    const std::string& key = settings_.steps.key.reveal();
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>("checkvalve chain"), 16, digest, nullptr);
    return fmt::format("{:02x}{:02x}", digest[0], digest[1]);
  }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    return make_record_stage(settings_, file, std::make_unique<RecordWriter>(settings_));
  }

private:
  const FormatSettings settings_;
};

constexpr OptionSpec max_record_option = {
    "max_record", OptionType::size, "1MiB",
    "maximum length of a record; each file in flight uses six times as much memory"};
constexpr OptionSpec csv_options[] = {
    {"to", OptionType::text, "csv", "output format: csv or jsonl"},
    {"delimiter", OptionType::text, ",", "a single character, or tab"},
    {"quote", OptionType::text, "\"", "a single character, or none"},
    {"header", OptionType::boolean, "yes", "the first row holds the column names, in input and output"},
    {"columns", OptionType::list, "", "column names for a file without a header; default: c1, c2, …"},
    {"write_delimiter", OptionType::text, "", "delimiter of the output; default: that of the input"},
    {"newline", OptionType::text, "lf", "line ending of the output: lf or crlf"},
    CHECKVALVE_RECORD_OPTIONS,
    max_record_option,
};
constexpr OptionSpec jsonl_options[] = {
    {"to", OptionType::text, "jsonl", "output format: jsonl or csv"},
    {"header", OptionType::boolean, "yes", "begin CSV output with the column names"},
    {"write_delimiter", OptionType::text, ",", "delimiter of CSV output: a single character, or tab"},
    {"newline", OptionType::text, "lf", "line ending of CSV output: lf or crlf"},
    CHECKVALVE_RECORD_OPTIONS,
    max_record_option,
};

Result<std::shared_ptr<const Transform>> make_records(Format from, const OptionValues& options) {
  FormatSettings s;
  s.from = from;
  const std::string to = options.text("to");
  if (to != "csv" && to != "jsonl")
    return option_failure(fmt::format("invalid value '{}' for to: expected csv or jsonl", to));
  s.to = to == "csv" ? Format::csv : Format::jsonl;
  if (from == Format::csv) {
    CV_TRY(s.read.delimiter, read_character(options, "delimiter"));
    CV_TRY(s.read.quote, read_character(options, "quote"));
    s.columns = options.list("columns");
    s.written = s.read;
  }
  if (!options.text("write_delimiter").empty()) {
    CV_TRY(s.written.delimiter, read_character(options, "write_delimiter"));
  }
  const std::string newline = options.text("newline");
  if (newline != "lf" && newline != "crlf")
    return option_failure(fmt::format("invalid value '{}' for newline: expected lf or crlf", newline));
  s.written.newline = newline == "lf" ? "\n" : "\r\n";
  s.header = options.boolean("header");
  if (s.header && !s.columns.empty())
    return option_failure("columns applies only to files without a header: add header=no");
  s.max_record_bytes = options.number("max_record");
  CV_TRY(s.steps, RecordSettings::read(options));
  return std::make_shared<Records>(std::move(s));
}

} // namespace

const TransformDescriptor csv_transform = {
    .name = "csv",
    .summary = "reads CSV or TSV (RFC 4180 and dialects), works on its columns, writes CSV or JSON lines",
    .renames = "with to=jsonl: .csv or .tsv becomes .jsonl",
    .options = csv_options,
    .make = [](const OptionValues& options) { return make_records(Format::csv, options); },
};

const TransformDescriptor jsonl_transform = {
    .name = "jsonl",
    .summary = "reads JSON lines, works on their fields, writes JSON lines or CSV",
    .renames = "with to=csv: .jsonl or .ndjson becomes .csv",
    .options = jsonl_options,
    .make = [](const OptionValues& options) { return make_records(Format::jsonl, options); },
};

} // namespace checkvalve
