#include "backends/temporary.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::string_view plan_alphabet = "abcdefghijkmnpqrstuvwxyz23456789"; // 32 letters, none alike
constexpr std::string_view hex_alphabet = "0123456789abcdef";
constexpr std::size_t plan_length = 10;
constexpr std::size_t nonce_length = 8;

std::string random_text(std::string_view alphabet, std::size_t length) {
  std::random_device device;
  std::string out;
  for (std::size_t i = 0; i < length; ++i) out += alphabet[device() % alphabet.size()];
  return out;
}

// Removes and returns what stands before the next `separator`.
std::optional<std::string_view> take_until(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  if (end == text.npos) return std::nullopt;
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end + 1);
  return part;
}

template <class T> bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool made_of(std::string_view text, std::size_t length, std::string_view alphabet) {
  return text.size() == length && text.find_first_not_of(alphabet) == text.npos;
}

} // namespace

std::string TemporaryName::text() const {
  const std::string last = attempt == 1 ? "" : fmt::format("-{}", attempt);
  return fmt::format(".cv-{}-{}-{}-{}{}{}{}.part", plan, generation, nonce, file, last, probe.empty() ? "" : ".",
                     probe);
}

std::string TemporaryName::beside(std::string_view path) const { return join_path(parent_path(path), text()); }

std::optional<TemporaryName> parse_temporary(std::string_view text) {
  if (!text.starts_with(".cv-") || !text.ends_with(".part")) return std::nullopt;
  text.remove_prefix(4);
  text.remove_suffix(5);
  TemporaryName name;
  if (const std::size_t dot = text.find('.'); dot != text.npos) {
    name.probe = text.substr(dot + 1);
    if (name.probe.empty()) return std::nullopt;
    text = text.substr(0, dot);
  }
  const auto plan = take_until(text, '-');
  const auto generation = take_until(text, '-');
  const auto nonce = take_until(text, '-');
  if (const auto file = take_until(text, '-')) { // an attempt follows
    if (!read_number(text, name.attempt) || name.attempt < 2) return std::nullopt;
    text = *file;
  }
  if (!plan || !generation || !nonce || !made_of(*plan, plan_length, plan_alphabet) ||
      !made_of(*nonce, nonce_length, hex_alphabet) || !read_number(*generation, name.generation) ||
      !read_number(text, name.file))
    return std::nullopt;
  name.plan = *plan;
  name.nonce = *nonce;
  return name;
}

std::string random_plan_id() { return random_text(plan_alphabet, plan_length); }
std::string random_nonce() { return random_text(hex_alphabet, nonce_length); }

} // namespace checkvalve
