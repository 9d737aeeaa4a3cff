#include "transforms/records/record_steps.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <re2/re2.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "core/path.h"

namespace checkvalve {
namespace {

Result<std::vector<RecordSettings::Pair>> read_pairs(const OptionValues& options, std::string_view name) {
  std::vector<RecordSettings::Pair> pairs;
  for (const std::string& text : options.list(name)) {
    const std::size_t equals = text.find('=');
    if (equals == text.npos || equals == 0)
      return option_failure(fmt::format("{}: expected name=value, got '{}'", name, text));
    pairs.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return pairs;
}

Result<Secret> read_key(const OptionValues& options) {
  std::string key;
  if (options.has("key_file")) {
    std::ifstream file(options.text("key_file"), std::ios::binary);
    if (!file) return option_failure(fmt::format("cannot read key_file '{}'", options.text("key_file")));
    key.assign(std::istreambuf_iterator<char>(file), {});
    while (key.ends_with('\n') || key.ends_with('\r')) key.pop_back();
  } else if (const char* value = std::getenv(options.text("key_env").c_str())) {
    key = value;
  }
  if (key.size() < 16)
    return option_failure("hash needs a key of at least 16 bytes: set key_file=FILE or key_env=VARIABLE");
  return Secret(std::move(key));
}

std::string hmac_hex(const Secret& key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

// A number that JSON can hold, or nothing.
std::optional<std::string> as_integer(std::string_view text) {
  static const re2::RE2 form("\\s*\\+?(-?)0*(\\d+)\\s*");
  std::string sign;
  std::string digits;
  if (!re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), form, &sign, &digits)) return std::nullopt;
  return digits == "0" ? digits : sign + digits;
}
std::optional<std::string> as_number(std::string_view text) {
  static const re2::RE2 form("\\s*\\+?(-?)0*(\\d+(?:\\.\\d+)?(?:[eE][-+]?\\d+)?)\\s*");
  std::string sign;
  std::string rest;
  if (!re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), form, &sign, &rest)) return std::nullopt;
  return sign + rest;
}
std::optional<std::string> as_boolean(std::string_view text) {
  for (const char* word : {"true", "yes", "1", "True", "TRUE", "t", "y"})
    if (text == word) return "true";
  for (const char* word : {"false", "no", "0", "False", "FALSE", "f", "n"})
    if (text == word) return "false";
  return std::nullopt;
}

// Which columns exist is unknown here: only the syntax of an expression is checked.
Result<void> check_form(std::string_view option, const std::string& expression) {
  CV_TRY(const SqliteDatabase database, open_sqlite(":memory:"));
  const auto form = prepare_sqlite(database.get(), "SELECT (" + expression + "\n)");
  if (form || form.error().message.find("no such column") != std::string::npos) return {};
  return option_failure(fmt::format("{}: {}", option, form.error().message));
}

Failure missing(std::string_view name) { return transform_failure(fmt::format("no such column: '{}'", name)); }

} // namespace

Result<RecordSettings> RecordSettings::read(const OptionValues& options) {
  RecordSettings s;
  constexpr std::string_view types[] = {"text", "integer", "number", "boolean"};
  for (const std::string& text : options.list("cast")) {
    const std::size_t colon = std::min(text.rfind(':'), text.size());
    const auto type = std::ranges::find(types, std::string_view(text).substr(std::min(colon + 1, text.size())));
    if (colon == 0 || type == std::end(types))
      return option_failure(
          fmt::format("cast: expected column:type, got '{}' (types: text, integer, number, boolean)", text));
    s.casts.push_back({text.substr(0, colon), static_cast<CastType>(type - std::begin(types))});
  }
  s.required = options.list("required");
  s.expected = options.list("expect");
  CV_TRY(const std::vector<Pair> matches, read_pairs(options, "match"));
  for (const Pair& match : matches) {
    CV_TRY(std::shared_ptr<const re2::RE2> pattern, compile_regex("match", match.value));
    if (!pattern) return option_failure(fmt::format("match: missing regular expression after '{}='", match.name));
    s.matches.push_back({match.name, std::move(pattern)});
  }
  s.checks = options.list("check");
  for (const std::string& check : s.checks) CV_CHECK(check_form("check", check));
  s.filter = options.text("filter");
  if (!s.filter.empty()) CV_CHECK(check_form("filter", s.filter));
  s.masked = options.list("mask");
  s.hashed = options.list("hash");
  if (!s.hashed.empty()) {
    CV_TRY(s.key, read_key(options));
  }
  CV_TRY(s.added, read_pairs(options, "add"));
  CV_TRY(s.renamed, read_pairs(options, "rename_columns"));
  s.selected = options.list("select");
  s.dropped = options.list("drop");
  s.reject = options.boolean("rejects");
  return s;
}

Result<bool> RecordSteps::apply(Record& record) {
  CV_CHECK(validate(record));
  CV_CHECK(cast(record));
  if (!settings_.checks.empty() || !settings_.filter.empty()) {
    CV_TRY(const std::size_t untrue, first_untrue(record));
    if (untrue > settings_.checks.size()) return false;
    if (untrue != 0) return transform_failure(fmt::format("check failed: '{}'", settings_.checks[untrue - 1]));
  }
  CV_CHECK(hide(record));
  add(record);
  CV_CHECK(choose(record));
  return true;
}

Result<void> RecordSteps::validate(const Record& record) const {
  if (!settings_.expected.empty() && !std::ranges::equal(record.fields, settings_.expected, {}, &Field::name)) {
    std::string names;
    for (const Field& field : record.fields) names += (names.empty() ? "" : ", ") + field.name;
    return transform_failure(fmt::format("the columns differ from expect: found {}", escape_bytes(names)));
  }
  for (const std::string& name : settings_.required) {
    const Field* field = record.find(name);
    if (!field) return missing(name);
    if (field->kind == FieldKind::null || (field->kind == FieldKind::text && field->value.empty()))
      return transform_failure(fmt::format("column '{}' is empty", name));
  }
  for (const auto& [name, pattern] : settings_.matches) {
    const Field* field = record.find(name);
    if (!field) return missing(name);
    if (field->kind == FieldKind::null || field->value.empty()) continue;
    if (!re2::RE2::FullMatch(piece(field->value), *pattern))
      return transform_failure(fmt::format("column '{}': value '{}' does not match '{}'", name,
                                           escape_bytes(field->value.substr(0, 40)), pattern->pattern()));
  }
  return {};
}

Result<void> RecordSteps::cast(Record& record) const {
  for (const auto& [name, type] : settings_.casts) {
    Field* field = record.find(name);
    if (!field) return missing(name);
    if (field->kind == FieldKind::null) continue;
    if (type == CastType::text) {
      field->kind = FieldKind::text;
      continue;
    }
    if (field->value.empty()) {
      field->value = "null";
      field->kind = FieldKind::null;
      continue;
    }
    auto value = type == CastType::integer  ? as_integer(field->value)
                 : type == CastType::number ? as_number(field->value)
                                            : as_boolean(field->value);
    if (!value)
      return transform_failure(fmt::format("column '{}': value '{}' is not a valid {}", name,
                                           escape_bytes(field->value.substr(0, 40)),
                                           type == CastType::integer  ? "integer"
                                           : type == CastType::number ? "number"
                                                                      : "boolean"));
    field->value = std::move(*value);
    field->kind = type == CastType::boolean ? FieldKind::boolean : FieldKind::number;
  }
  return {};
}

Result<std::size_t> RecordSteps::first_untrue(const Record& record) {
  const bool known = expressions_ && std::ranges::equal(record.fields, expression_names_, {}, &Field::name);
  if (!known) {
    if (!database_) {
      CV_TRY(database_, open_sqlite(":memory:"));
    }
    std::string columns;
    expression_names_.clear();
    for (const Field& field : record.fields) {
      columns += fmt::format("{}?{} AS {}", columns.empty() ? "" : ", ", expression_names_.size() + 1,
                             quote_sqlite_name(field.name));
      expression_names_.push_back(field.name);
    }
    std::string answers;
    for (const std::string& check : settings_.checks) answers += fmt::format("({}\n), ", check);
    answers += settings_.filter.empty() ? "1" : fmt::format("({}\n)", settings_.filter);
    auto prepared = prepare_sqlite(database_.get(), fmt::format("SELECT {} FROM (SELECT {})", answers, columns));
    if (!prepared) return transform_failure("expression: " + prepared.error().message);
    expressions_ = std::move(*prepared);
  }
  sqlite3_stmt* const statement = expressions_.get();
  for (std::size_t i = 0; i < record.fields.size(); ++i)
    bind_sqlite(statement, static_cast<int>(i + 1), record.fields[i]);
  const int code = sqlite3_step(statement);
  const std::string problem = code == SQLITE_ROW ? "" : sqlite3_errmsg(database_.get());
  std::size_t untrue = 0;
  for (std::size_t i = 0; problem.empty() && untrue == 0 && i <= settings_.checks.size(); ++i)
    if (sqlite3_column_double(statement, static_cast<int>(i)) == 0) untrue = i + 1; // null is not true either
  sqlite3_reset(statement);
  if (!problem.empty()) return transform_failure("expression: " + problem);
  return untrue;
}

Result<void> RecordSteps::hide(Record& record) const {
  for (const std::string& name : settings_.masked) {
    Field* field = record.find(name);
    if (!field) return missing(name);
    if (field->kind == FieldKind::null) continue;
    field->kind = FieldKind::text;
    for (char& c : field->value) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= '0' && byte <= '9')
        c = '0';
      else if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80)
        c = 'x';
    }
  }
  for (const std::string& name : settings_.hashed) {
    Field* field = record.find(name);
    if (!field) return missing(name);
    if (field->kind == FieldKind::null || field->value.empty()) continue;
    field->value = hmac_hex(settings_.key, field->value);
    field->kind = FieldKind::text;
  }
  return {};
}

void RecordSteps::add(Record& record) const {
  for (const auto& [name, pattern] : settings_.added) {
    std::string value = pattern;
    for (const auto& [word, text] :
         {std::pair<std::string, std::string>{"{line}", std::to_string(record.line)}, {"{path}", path_}})
      for (std::size_t at = 0; (at = value.find(word, at)) != value.npos; at += text.size())
        value.replace(at, word.size(), text);
    if (Field* there = record.find(name))
      *there = {name, std::move(value), FieldKind::text};
    else
      record.fields.push_back({name, std::move(value), FieldKind::text});
  }
}

Result<void> RecordSteps::choose(Record& record) const {
  for (const auto& [from, to] : settings_.renamed) {
    Field* field = record.find(from);
    if (!field) return missing(from);
    field->name = to;
  }
  for (const std::string& name : settings_.dropped)
    std::erase_if(record.fields, [&](const Field& field) { return field.name == name; });
  if (settings_.selected.empty()) return {};
  std::vector<Field> chosen;
  for (const std::string& name : settings_.selected) {
    Field* field = record.find(name);
    if (!field) return missing(name);
    chosen.push_back(*field);
  }
  record.fields = std::move(chosen);
  return {};
}

} // namespace checkvalve
