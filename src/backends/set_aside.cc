#include "backends/set_aside.h"

#include <fmt/format.h>

#include <span>

#include "backends/temporary.h"
#include "core/hash.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::string_view prefix = ".cv-old-";
constexpr std::size_t digits = 8; // of the nonce and of the check
constexpr std::size_t max_name_bytes = 255;

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == text.npos; }

std::string check_of(std::uint64_t size_bytes, std::int64_t mtime_s) {
  Hasher hasher;
  const std::string text = fmt::format("{} {}", size_bytes, mtime_s);
  hasher.update(std::as_bytes(std::span(text)));
  const std::string digest = hasher.digest();
  return digest.substr(digest.size() - digits);
}

} // namespace

std::string SetAsideName::text() const { return fmt::format("{}{}-{}-{}", prefix, nonce, check, final_name); }

std::optional<SetAsideName> parse_set_aside(std::string_view text) {
  constexpr std::size_t head = prefix.size() + 2 * (digits + 1);
  if (!text.starts_with(prefix) || text.size() <= head || text[prefix.size() + digits] != '-' || text[head - 1] != '-')
    return std::nullopt;
  const std::string_view nonce = text.substr(prefix.size(), digits);
  const std::string_view check = text.substr(prefix.size() + digits + 1, digits);
  const std::string_view final_name = text.substr(head);
  if (!is_hex(nonce) || !is_hex(check) || final_name == "." || final_name == "..") return std::nullopt;
  return SetAsideName{std::string(nonce), std::string(check), std::string(final_name)};
}

Result<std::string> set_aside_path(std::string_view path, std::uint64_t size_bytes, std::int64_t mtime_s) {
  const SetAsideName name{random_nonce(), check_of(size_bytes, mtime_s), std::string(base_name(path))};
  const std::string text = name.text();
  if (text.size() <= max_name_bytes) return join_path(parent_path(path), text);
  return Failure(
      make_error(ErrorKind::invalid_name, "the name is too long to set the old file aside under a longer one"));
}

bool is_replacement(const SetAsideName& name, std::uint64_t size_bytes, std::int64_t mtime_s) {
  return check_of(size_bytes, mtime_s) == name.check;
}

std::string path_before_set_aside(std::string_view path) {
  const auto name = parse_set_aside(base_name(path));
  return name ? join_path(parent_path(path), name->final_name) : std::string(path);
}

bool is_own_name(std::string_view base_name) { return parse_temporary(base_name) || parse_set_aside(base_name); }

} // namespace checkvalve
