#include "cli/printable.h"

#include <fmt/format.h>

#include "core/path.h"
#include "core/units.h"

namespace checkvalve {

std::string printable(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '\\'); // which escaping would double
  return escape_bytes(plain) == plain ? std::string(text) : escape_bytes(text);
}

std::string counted(std::uint64_t count, std::string_view noun, std::string_view plural) {
  const std::string suffixed = std::string(noun) + "s";
  return fmt::format("{} {}", format_count(count),
                     count == 1       ? noun
                     : plural.empty() ? std::string_view(suffixed)
                                      : plural);
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (!word.empty() && word.find_first_not_of(plain) == word.npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

} // namespace checkvalve
