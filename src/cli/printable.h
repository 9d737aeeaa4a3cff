// Text for people: that of others made fit for a terminal and for JSON, counts with their nouns, shell words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace checkvalve {

// As it is where it is valid UTF-8 without control characters, else escaped as names are (core/path.h, escape_bytes):
// a server's words must not move the cursor or break a line.
std::string printable(std::string_view text);

// "1 file", "1,234 files". The plural of a noun that does not just take an s is given.
std::string counted(std::uint64_t count, std::string_view noun, std::string_view plural = "");

// A word of a command line as a shell takes it; quoted only where that is needed.
std::string shell_word(std::string_view word);

} // namespace checkvalve
