#include <fmt/format.h>

#include "transforms/transform.h"

namespace checkvalve {
namespace {

Failure bad_call(std::string_view text, std::string message) {
  return Failure(make_error(ErrorKind::config, "read transform", std::string(text), std::move(message)));
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// Reads one word up to a space, or up to `end` (outside of quotes). Nothing if unterminated quote.
std::optional<std::string> read_word(std::string_view& text, char end) {
  std::string word;
  char quote = 0;
  while (!text.empty() && (quote || (!is_space(text.front()) && text.front() != end))) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '\\' && quote != '\'' && !text.empty()) {
      word += text.front();
      text.remove_prefix(1);
    } else if (quote ? c == quote : c == '\'' || c == '"') {
      quote = quote ? 0 : c;
    } else {
      word += c;
    }
  }
  if (quote) return std::nullopt;
  return word;
}

void skip_space(std::string_view& text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

} // namespace

Result<TransformCall> parse_transform_call(std::string_view text) {
  const std::string_view whole = text;
  TransformCall call;
  skip_space(text);
  const auto name = read_word(text, 0);
  if (!name) return bad_call(whole, "unterminated quote");
  if (name->empty())
    return bad_call(whole, "missing transform name; expected NAME key=value, for example gzip level=9");
  call.name = *name;
  for (skip_space(text); !text.empty(); skip_space(text)) {
    const auto key = read_word(text, '=');
    if (!key) return bad_call(whole, "unterminated quote");
    if (text.empty() || text.front() != '=')
      return bad_call(
          whole, fmt::format("expected key=value, got '{}' (quote a value that contains spaces: key='a b')", *key));
    text.remove_prefix(1);
    const auto value = read_word(text, 0);
    if (!value) return bad_call(whole, fmt::format("unterminated quote in the value of '{}'", *key));
    if (!call.options.emplace(*key, *value).second)
      return bad_call(whole, fmt::format("option '{}' is given twice", *key));
  }
  return call;
}

std::string to_string(const TransformCall& call) {
  std::string text = call.name;
  for (const auto& [key, value] : call.options) {
    text += " " + key + "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

Failure transform_failure(std::string message) {
  return Failure(make_error(ErrorKind::transform, "transform", "", std::move(message)));
}

Failure option_failure(std::string message) {
  return Failure(make_error(ErrorKind::config, "read options of transform", "", std::move(message)));
}

} // namespace checkvalve
