#include "cli/printable.h"

#include <algorithm>

#include "core/path.h"

namespace checkvalve {

std::string printable(std::string_view text) {
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  return control || !is_valid_utf8(text) ? escape_bytes(text) : std::string(text);
}

} // namespace checkvalve
