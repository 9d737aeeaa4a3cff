#include "transforms/records/json_format.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/path.h"
#include "transforms/transform.h"

namespace checkvalve {
namespace {

void append_json_text(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default:
      if (static_cast<unsigned char>(c) < 0x20)
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        out += c;
    }
  }
  out += '"';
}

// Builds the record while nlohmann's parser reads; what is nested is written out again, number for number.
class RecordBuilder : public nlohmann::json_sax<nlohmann::json> {
public:
  explicit RecordBuilder(Record& record) : record_(record) {}
  std::string problem;

  bool null() override { return value("null", FieldKind::null); }
  bool boolean(bool b) override { return value(b ? "true" : "false", FieldKind::boolean); }
  bool number_integer(number_integer_t n) override { return value(std::to_string(n), FieldKind::number); }
  bool number_unsigned(number_unsigned_t n) override { return value(std::to_string(n), FieldKind::number); }
  bool number_float(number_float_t, const string_t& text) override { return value(text, FieldKind::number); }
  bool string(string_t& text) override {
    if (depth_ == 1) return value(text, FieldKind::text);
    std::string written;
    append_json_text(text, written);
    return value(written, FieldKind::json);
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open('{'); }
  bool end_object() override { return close('}'); }
  bool start_array(std::size_t) override {
    if (depth_ == 0) return refuse();
    return open('[');
  }
  bool end_array() override { return close(']'); }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      record_.fields.push_back({name, "", FieldKind::null});
      return true;
    }
    separate();
    append_json_text(name, nested());
    nested() += ':';
    after_key_ = true;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view what = error.what();
    if (const auto at = what.rfind("; "); at != what.npos) what.remove_prefix(at + 2);
    problem = fmt::format("invalid JSON at byte {} of the line: {}", position, what);
    return false;
  }

private:
  std::string& nested() { return record_.fields.back().value; }
  bool refuse() {
    problem = "the line is not a JSON object";
    return false;
  }
  void separate() {
    if (!std::exchange(after_key_, false) && !nested().ends_with('{') && !nested().ends_with('[')) nested() += ',';
  }
  bool value(std::string_view text, FieldKind kind) {
    if (depth_ == 0) return refuse();
    if (depth_ == 1) {
      record_.fields.back().value = text;
      record_.fields.back().kind = kind;
    } else {
      separate();
      nested() += text;
    }
    return true;
  }
  bool open(char bracket) {
    if (++depth_ == 1) return true;
    if (depth_ == 2)
      record_.fields.back().kind = FieldKind::json;
    else
      separate();
    nested() += bracket;
    return true;
  }
  bool close(char bracket) {
    if (depth_-- > 1) nested() += bracket;
    return true;
  }

  Record& record_;
  int depth_ = 0;
  bool after_key_ = false;
};

} // namespace

Result<void> parse_json_record(std::string_view text, Record& record) {
  record.fields.clear();
  RecordBuilder builder(record);
  if (nlohmann::json::sax_parse(text, &builder)) return {};
  return transform_failure(builder.problem.empty() ? "not a JSON object" : builder.problem);
}

Result<void> append_json_record(const Record& record, std::string& out) {
  out += '{';
  for (const Field& field : record.fields) {
    if (&field != &record.fields.front()) out += ',';
    if (!is_valid_utf8(field.name) || (field.kind == FieldKind::text && !is_valid_utf8(field.value)))
      return transform_failure(fmt::format("column {} is not valid UTF-8: add the transform charset before this one",
                                           escape_bytes(field.name)));
    append_json_text(field.name, out);
    out += ':';
    if (field.kind == FieldKind::text)
      append_json_text(field.value, out);
    else
      out += field.value;
  }
  out += '}';
  return {};
}

} // namespace checkvalve
