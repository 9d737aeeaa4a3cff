#include "core/option.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/units.h"

namespace checkvalve {
namespace {

std::optional<std::uint64_t> read_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> read_boolean(std::string_view text) {
  for (std::string_view word : {"yes", "true", "on", "1"})
    if (text == word) return true;
  for (std::string_view word : {"no", "false", "off", "0"})
    if (text == word) return false;
  return std::nullopt;
}

std::optional<std::vector<std::string>> read_list(const std::string& text) {
  if (text.empty()) return std::vector<std::string>{};
  if (text.front() != '[') return std::vector<std::string>{text};
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return std::nullopt;
  std::vector<std::string> words;
  for (const auto& item : json) {
    if (!item.is_string()) return std::nullopt;
    words.push_back(item.get<std::string>());
  }
  return words;
}

bool can_read(OptionType type, const std::string& value) {
  switch (type) {
  case OptionType::text:
  case OptionType::path:
  case OptionType::secret: return true;
  case OptionType::integer: return read_integer(value).has_value();
  case OptionType::size: return parse_size(value).has_value();
  case OptionType::duration: return parse_duration(value).has_value();
  case OptionType::boolean: return read_boolean(value).has_value();
  case OptionType::list: return read_list(value).has_value();
  }
  return false;
}

} // namespace

const OptionSpec* find_option(std::span<const OptionSpec> specs, std::string_view name) {
  for (const OptionSpec& spec : specs)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::string expected_type(const OptionSpec& spec, const std::string& value) {
  return can_read(spec.type, value) ? "" : std::string(describe(spec.type));
}

std::string_view describe(OptionType type) {
  switch (type) {
  case OptionType::text: return "text";
  case OptionType::path: return "a path";
  case OptionType::secret: return "a secret";
  case OptionType::integer: return "an integer";
  case OptionType::size: return "a size like 64MiB";
  case OptionType::duration: return "a duration like 30s";
  case OptionType::boolean: return "yes or no";
  case OptionType::list: return "one word or a JSON array of strings";
  }
  return "";
}

std::string OptionValues::text(std::string_view name) const {
  if (const auto given = given_.find(std::string(name)); given != given_.end()) return given->second;
  const OptionSpec* spec = find_option(specs_, name);
  return spec ? std::string(spec->default_value) : std::string();
}

std::uint64_t OptionValues::number(std::string_view name) const {
  const OptionSpec* spec = find_option(specs_, name);
  if (spec && spec->type == OptionType::integer) return read_integer(text(name)).value_or(0);
  const auto size = parse_size(text(name));
  return size ? *size : 0;
}

std::chrono::milliseconds OptionValues::duration(std::string_view name) const {
  const auto duration = parse_duration(text(name));
  return duration ? *duration : std::chrono::milliseconds(0);
}

bool OptionValues::boolean(std::string_view name) const { return read_boolean(text(name)).value_or(false); }

std::vector<std::string> OptionValues::list(std::string_view name) const {
  return read_list(text(name)).value_or(std::vector<std::string>());
}

} // namespace checkvalve
