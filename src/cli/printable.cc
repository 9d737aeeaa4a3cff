#include "cli/printable.h"

#include "core/path.h"

namespace checkvalve {

std::string printable(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '\\'); // which escaping would double
  return escape_bytes(plain) == plain ? std::string(text) : escape_bytes(text);
}

} // namespace checkvalve
