// Percent-encoding of URLs (RFC 3986, section 2.1), and its digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace checkvalve {

// 0 to 15 of a hexadecimal digit of either case; -1: it is none.
int hex_value(char digit);

// The bytes that the text stands for. Nothing if a '%' is not followed by two hexadecimal digits, or a NUL byte comes
// out.
std::optional<std::string> percent_decoded(std::string_view text);

} // namespace checkvalve
