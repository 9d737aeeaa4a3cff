// The data types of SSH's messages and key files (RFC 4251, section 5), for writing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace checkvalve {

inline void put_ssh_u32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift);
}

inline void put_ssh_string(std::string& to, std::string_view value) {
  put_ssh_u32(to, static_cast<std::uint32_t>(value.size()));
  to += value;
}

} // namespace checkvalve
