// Percent-encoding of URLs (RFC 3986, section 2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace checkvalve {

// The bytes that the text stands for. Nothing if a '%' is not followed by two hexadecimal digits, or a NUL byte comes
// out.
std::optional<std::string> percent_decoded(std::string_view text);

} // namespace checkvalve
