#include "state/database.h"

namespace checkvalve {
namespace {

std::string_view word(const Dialect& dialect, std::string_view name) {
  if (name == "bytes") return dialect.bytes;
  if (name == "identity") return dialect.identity;
  if (name == "clustered") return dialect.clustered;
  if (name == "now_ms") return dialect.now_ms;
  if (name == "for_update") return dialect.for_update;
  if (name == "json") return dialect.json;
  if (name == "json_each") return dialect.json_each;
  return {};
}

} // namespace

std::string Dialect::render(std::string_view sql) const {
  std::string out;
  out.reserve(sql.size() + 64);
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] == '$') {
      out += parameter;
    } else if (sql[i] == '{') {
      const std::size_t end = sql.find('}', i);
      out += word(*this, sql.substr(i + 1, end - i - 1));
      i = end;
    } else {
      out += sql[i];
    }
  }
  return out;
}

} // namespace checkvalve
