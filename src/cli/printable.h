// Text of others (messages of servers, names) made fit for a terminal and for JSON.
#pragma once

#include <string>
#include <string_view>

namespace checkvalve {

// As it is where it is valid UTF-8 without control characters, else escaped as names are (core/path.h, escape_bytes):
// a server's words must not move the cursor or break a line.
std::string printable(std::string_view text);

} // namespace checkvalve
