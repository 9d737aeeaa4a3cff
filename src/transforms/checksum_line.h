// The line of a file in a list of checksums, as sha256sum(1) of GNU coreutils writes and checks it.
#pragma once

#include <string>
#include <string_view>

namespace checkvalve {

// "DIGEST  PATH\n". A path with a newline, carriage return or backslash is escaped, and the line begins with a
// backslash then; "-", which would be standard input, becomes "./-". All other bytes stand as they are.
std::string checksum_line(std::string_view hex_digest, std::string_view path);

} // namespace checkvalve
