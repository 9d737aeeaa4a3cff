#include "transforms/checksum_line.h"

#include <fmt/format.h>

namespace checkvalve {

std::string checksum_line(std::string_view hex_digest, std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    if (c == '\n')
      escaped += "\\n";
    else if (c == '\r') // by coreutils since 9.0; older ones neither write nor read it
      escaped += "\\r";
    else if (c == '\\')
      escaped += "\\\\";
    else
      escaped += c;
  }
  const bool as_it_is = escaped.size() == path.size();
  return fmt::format("{}{}  {}{}\n", as_it_is ? "" : "\\", hex_digest, path == "-" ? "./" : "", escaped);
}

} // namespace checkvalve
