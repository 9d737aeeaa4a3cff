// Names of published files that are set aside at a target for the moment in which another version takes their name,
// where a server can't replace a file in one step.
//
//     .cv-old-<nonce>-<check>-<final name>        e.g. .cv-old-9f02ab17-1b2c3d4e-report.csv
//
// nonce: 8 random hexadecimal digits; check: 8 hexadecimal digits of the size and mtime of the replacement, by which it
// is recognised under the final name. Such a file is not a temporary: it was published, by whomever, and is removed
// only where its replacement is proved to be there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

struct SetAsideName {
  std::string nonce;
  std::string check;
  std::string final_name;

  std::string text() const;
  bool operator==(const SetAsideName&) const = default;
};

// Reads a base name; nothing if it is not one of ours.
std::optional<SetAsideName> parse_set_aside(std::string_view base_name);

// The path beside `path` under which its present file is set aside for a replacement with this size and mtime (seconds
// since 1970), as the server reports them. Kind invalid_name: the name would be longer than the 255 bytes that file
// systems allow.
Result<std::string> set_aside_path(std::string_view path, std::uint64_t size_bytes, std::int64_t mtime_s);

// Whether what is under the final name is the replacement.
bool is_replacement(const SetAsideName& name, std::uint64_t size_bytes, std::int64_t mtime_s);

// The path that a file set aside had: "a/.cv-old-…-b.txt" → "a/b.txt". The base name must be one of ours.
std::string path_before_set_aside(std::string_view path);

// Whether a base name is one that this program gives, to a temporary or to a file set aside.
bool is_own_name(std::string_view base_name);

} // namespace checkvalve
