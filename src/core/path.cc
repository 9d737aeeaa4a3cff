#include "core/path.h"

#include <cstdint>

#include "core/percent.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_name_bytes = 255; // NAME_MAX of every file system in use

// Length of the UTF-8 sequence at the start of `bytes` (RFC 3629: shortest form, no surrogates), 0 if there is none.
std::size_t utf8_sequence(std::string_view bytes) {
  auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (bytes.size() < length || at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if (at(i) < 0x80 || at(i) > 0xBF) return 0;
  return length;
}

Failure invalid(std::string_view path, std::string message) {
  return Failure(make_error(ErrorKind::invalid_name, "name", escape_bytes(path), std::move(message)));
}

} // namespace

Result<void> check_name(std::string_view name) {
  if (name.empty()) return invalid(name, "empty name");
  if (name == "." || name == "..") return invalid(name, "the names . and .. would leave the tree");
  if (name.find('/') != name.npos) return invalid(name, "a name must not contain '/'");
  if (name.find('\0') != name.npos) return invalid(name, "a name must not contain a NUL byte");
  if (name.size() > max_name_bytes) return invalid(name, "name longer than 255 bytes");
  return {};
}

Result<void> check_tree_path(std::string_view path) {
  if (path.empty()) return invalid(path, "empty path");
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = path.find('/', begin);
    if (auto ok = check_name(path.substr(begin, end == path.npos ? path.npos : end - begin)); !ok)
      return invalid(path, ok.error().message);
    if (end == path.npos) return {};
    begin = end + 1;
  }
}

std::string join_path(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  if (name.empty()) return std::string(directory);
  std::string out(directory);
  if (out.back() != '/') out += '/';
  return out += name;
}

std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

std::string escape_bytes(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    const std::size_t length = utf8_sequence(bytes);
    const bool control = byte < 0x20 || byte == 0x7F || (length == 2 && byte == 0xC2 && bytes[1] < '\xA0'); // C0, C1
    if (length == 0 || control) {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
      bytes.remove_prefix(1);
    } else {
      if (byte == '\\') out += '\\';
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
  }
  return out;
}

Result<std::string> unescape_bytes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      out += '\\';
      i += 1;
    } else if (i + 3 < text.size() && text[i + 1] == 'x' && hex_value(text[i + 2]) >= 0 &&
               hex_value(text[i + 3]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 2]) * 16 + hex_value(text[i + 3]));
      i += 3;
    } else {
      return invalid(text, "a backslash must be followed by another one or by xNN");
    }
  }
  return out;
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

} // namespace checkvalve
