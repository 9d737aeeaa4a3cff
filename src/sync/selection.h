// Selection: which files of the source a job takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/entry.h"
#include "core/result.h"

namespace checkvalve {

struct SelectionRule {
  bool include = true;
  std::string glob;
};

struct Selection {
  // The first rule that matches decides. No match: taken if there is no include rule, else left.
  std::vector<SelectionRule> rules;
  // A list of paths relative to the root replaces the listing of directories.
  std::optional<std::vector<std::string>> files;
  std::optional<std::chrono::milliseconds> min_age; // by mtime: leave what may still be written
  std::uint64_t min_size_bytes = 0;
  std::optional<std::uint64_t> max_size_bytes;

  bool takes_name(std::string_view path) const;
  // Name, size and age (against `now_ms`).
  bool takes(const Entry& entry, std::int64_t now_ms) const;
  // False if no file below the directory can be taken: an exclude rule ends with "/**" or matches the directory itself.
  bool enters(std::string_view directory) const;
  // Whether all directories above the path are entered: for listings that give whole subtrees.
  bool reaches(std::string_view path) const;
};

// A glob over bytes: '*' any run within a name, '?' one byte within a name, "[a-z]" and "[!a-z]" a class, "**/" any
// directories or none, a trailing "/**" everything below, "{a,b}" alternatives, '\' takes the next byte as it is. A
// glob without '/' matches the last name at any depth; with one, the whole path ('/' in front anchors: "/*.txt").
bool glob_matches(std::string_view glob, std::string_view path);
// Kind config for an unclosed '[' or '{'.
Result<void> check_glob(std::string_view glob);

} // namespace checkvalve
