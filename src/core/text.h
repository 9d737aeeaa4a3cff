// Forms of text that protocols use.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace checkvalve {

// With ASCII letters in lower case; all other bytes stay.
std::string lower_ascii(std::string_view text);

// RFC 4648, section 4.
std::string base64(std::span<const std::byte> bytes);
// Nothing if the text is empty or not valid base64.
std::optional<std::vector<std::byte>> from_base64(std::string_view text);

} // namespace checkvalve
