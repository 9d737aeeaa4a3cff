#include "transforms/records/record_stages.h"

#include <fmt/format.h>

#include "transforms/records/json_format.h"
#include "transforms/text/line_stage.h"

namespace checkvalve {
namespace {

Failure at_line(std::uint64_t line, const Error& error) {
  return transform_failure(fmt::format("line {}: {}", line, error.message));
}

// What both formats share: steps, and the handling of records that don't conform.
class RecordPath {
public:
  RecordPath(const FormatSettings& settings, const std::string& path, std::unique_ptr<RecordConsumer> consumer)
      : settings_(settings), steps_(settings.steps, path), consumer_(std::move(consumer)) {}

  // `raw`: the record as it stood in the input, for the rejects.
  Result<void> take(Record& record, std::string_view raw, Emit& out) {
    auto passes = steps_.apply(record);
    if (passes && *passes)
      if (auto taken = consumer_->take(record, out); !taken) passes = Failure(taken.error());
    if (passes) return {};
    return reject(record.line, raw, passes.error(), out);
  }
  Result<void> reject(std::uint64_t line, std::string_view raw, const Error& error, Emit& out) {
    if (!settings_.steps.reject) return at_line(line, error);
    out.side(0, raw);
    if (!raw.ends_with('\n')) out.side(0, "\n");
    return {};
  }
  Result<bool> end(const std::vector<std::string>& columns, Emit& out) { return consumer_->end(columns, out); }

private:
  const FormatSettings& settings_;
  RecordSteps steps_;
  std::unique_ptr<RecordConsumer> consumer_;
};

class CsvStage : public Stage {
public:
  CsvStage(const FormatSettings& settings, const FileContext& file, std::unique_ptr<RecordConsumer> consumer)
      : settings_(settings), parser_(settings.read, settings.max_record_bytes), columns_(settings.columns),
        sink_(settings, file.path, std::move(consumer)) {}

  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) {
      std::string_view text = in.text();
      CV_TRY(const bool whole, parser_.take(text));
      in.narrow(in.size() - text.size(), text.size());
      if (whole) CV_CHECK(row(out));
    }
    return {};
  }
  Result<bool> finish(Emit& out) override {
    CV_TRY(const bool last, parser_.finish());
    if (last) CV_CHECK(row(out));
    return sink_.end(columns_, out);
  }

private:
  Result<void> row(Emit& out) {
    const CsvRow& row = parser_.row();
    if (std::exchange(first_, false)) {
      const bool names = settings_.header;
      for (std::size_t i = 0; columns_.empty() && i < row.count; ++i) {
        record_.fields.emplace_back();
        std::string name = names ? row.fields[i] : fmt::format("c{}", i + 1);
        if (names && i == 0 && name.starts_with("\xEF\xBB\xBF")) name.erase(0, 3);
        record_.fields.back().name = std::move(name);
      }
      for (const Field& field : record_.fields) columns_.push_back(field.name);
      if (settings_.steps.reject && names) out.side(0, row.raw);
      if (names) return {};
    }
    if (row.count != columns_.size())
      return sink_.reject(
          row.line, row.raw,
          transform_failure(fmt::format("expected {1} columns, found {0}", row.count, columns_.size())).error(), out);
    record_.line = row.line;
    record_.fields.resize(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      Field& field = record_.fields[i];
      field.name = columns_[i];
      field.value = row.fields[i];
      field.kind = FieldKind::text;
    }
    return sink_.take(record_, row.raw, out);
  }

  const FormatSettings& settings_;
  CsvParser parser_;
  std::vector<std::string> columns_;
  RecordPath sink_;
  Record record_;
  bool first_ = true;
};

class JsonlStage : public LineStage {
public:
  JsonlStage(const FormatSettings& settings, const FileContext& file, std::unique_ptr<RecordConsumer> consumer)
      : LineStage(settings.max_record_bytes), sink_(settings, file.path, std::move(consumer)),
        columns_(settings.steps.selected) {}

protected:
  Result<void> line(std::string_view text, std::string_view, Emit& out) override {
    if (text.find_first_not_of(" \t") == text.npos) return {};
    record_.line = line_number();
    if (auto parsed = parse_json_record(text, record_); !parsed)
      return sink_.reject(record_.line, text, parsed.error(), out);
    return sink_.take(record_, text, out);
  }
  Result<bool> end(Emit& out) override { return sink_.end(columns_, out); }

private:
  RecordPath sink_;
  const std::vector<std::string> columns_;
  Record record_;
};

} // namespace

Result<std::unique_ptr<Stage>> make_record_stage(const FormatSettings& settings, const FileContext& file,
                                                 std::unique_ptr<RecordConsumer> consumer) {
  if (settings.from == Format::csv) return std::make_unique<CsvStage>(settings, file, std::move(consumer));
  return std::make_unique<JsonlStage>(settings, file, std::move(consumer));
}

Result<char> read_character(const OptionValues& options, std::string_view name) {
  const std::string text = options.text(name);
  if (text == "tab") return '\t';
  if (text == "none" && name == "quote") return '\0';
  if (text.size() != 1 || text[0] == '\n' || text[0] == '\r')
    return option_failure(fmt::format("{} must be a single character", name));
  return text[0];
}

} // namespace checkvalve
