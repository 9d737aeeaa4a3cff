// The data types of SSH's and SFTP's messages, and of key files (RFC 4251, section 5), for writing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace checkvalve {

// Writes four bytes.
inline void put_ssh_u32(char* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (24 - 8 * i));
}

// These append.
inline void put_ssh_u32(std::string& to, std::uint32_t value) {
  char word[4];
  put_ssh_u32(word, value);
  to.append(word, sizeof word);
}

inline void put_ssh_string(std::string& to, std::string_view value) {
  put_ssh_u32(to, static_cast<std::uint32_t>(value.size()));
  to += value;
}

} // namespace checkvalve
